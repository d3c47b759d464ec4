package session

// AliasIn resolves the Topic Aliases of a peer. Aliases live as long as the connection
// [MQTT-3.3.2-7].
type AliasIn struct {
	topics []string
}

// Set binds alias, from 1 to max, to a Topic Name; false when alias is out of range
// [MQTT-3.3.2-8, 3.3.2-9].
func (a *AliasIn) Set(alias, max uint16, topic []byte) bool {
	if alias == 0 || alias > max {
		return false
	}
	for len(a.topics) < int(alias) {
		a.topics = append(a.topics, "")
	}
	if t := &a.topics[alias-1]; *t != string(topic) {
		*t = string(topic)
	}
	return true
}

// Get returns the Topic Name bound to alias; "" when there is none.
func (a *AliasIn) Get(alias uint16) string {
	if alias == 0 || int(alias) > len(a.topics) {
		return ""
	}
	return a.topics[alias-1]
}

// AliasOut assigns Topic Aliases towards a peer: the first topics seen get one each,
// until its Topic Alias Maximum is reached [MQTT-3.1.2-26].
type AliasOut struct {
	byTopic map[string]uint16
	max     uint16
}

// NewAliasOut makes a table for a peer that takes aliases up to max, which is not 0.
func NewAliasOut(max uint16) *AliasOut {
	return &AliasOut{byTopic: make(map[string]uint16), max: max}
}

// For returns the alias to send with topic, 0 for none, and whether the peer knows it
// already, so that the Topic Name can stay away.
func (a *AliasOut) For(topic string) (alias uint16, known bool) {
	if alias, known = a.byTopic[topic]; known {
		return alias, true
	}
	if len(a.byTopic) >= int(a.max) {
		return 0, false
	}
	alias = uint16(len(a.byTopic) + 1)
	a.byTopic[topic] = alias
	return alias, false
}
