//go:build !race

package crash

const defaultRounds = 40

const raceFlag = "-race=false"
