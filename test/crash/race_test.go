//go:build race

package crash

// defaultRounds is less under the race detector, which slows the clients, not the broker.
const defaultRounds = 12

// raceFlag builds the broker with the race detector as well.
const raceFlag = "-race"
