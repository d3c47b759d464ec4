package conform

import (
	"embed"
	"fmt"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

//go:embed statements/*.tsv
var tables embed.FS

// Statement is one numbered statement.
type Statement struct {
	ID      string // as MQTT-3.1.0-2; those of MQTT 3.1, which numbers none, are ours: MQTT31-2.1-1
	Section string // number and name
	Binds   string // client, server or both
	Outside bool   // whether it can be tested from outside
	Text    string // paraphrased
	// Why tells why no check of a broker covers the statement; "" when one does.
	Why string
	// WhyClient tells why no check of the client does; "" when one does, and when the
	// statement does not bind a client.
	WhyClient string
}

// BindsServer tells whether a server can break the statement.
func (s Statement) BindsServer() bool { return s.Binds != "client" }

// BindsClient tells whether a client can break the statement.
func (s Statement) BindsClient() bool { return s.Binds != "server" }

// Versions are those that can be checked, oldest first.
func Versions() []packet.Version { return []packet.Version{packet.V31, packet.V311, packet.V5} }

// ParseVersion reads 3.1, 3.1.1 or 5.0; 5 will do.
func ParseVersion(s string) (packet.Version, error) {
	switch s {
	case "3.1":
		return packet.V31, nil
	case "3.1.1":
		return packet.V311, nil
	case "5.0", "5":
		return packet.V5, nil
	}
	return 0, fmt.Errorf("there is no MQTT %q: want 3.1, 3.1.1 or 5.0", s)
}

// short is the version in the names of files and in the language of scripts.
func short(v packet.Version) string {
	switch v {
	case packet.V31:
		return "v31"
	case packet.V311:
		return "v311"
	}
	return "v5"
}

// Statements returns the statements of a version in their order.
func Statements(v packet.Version) ([]Statement, error) {
	rows, err := readTable("statements/"+short(v)+".tsv", "id", "section", "binds", "blackbox", "paraphrase")
	if err != nil {
		return nil, err
	}
	notes, err := readTable("statements/"+short(v)+"-notes.tsv", "id", "broker", "client")
	if err != nil {
		return nil, err
	}
	list := make([]Statement, len(rows))
	at := map[string]int{}
	for i, r := range rows {
		list[i] = Statement{ID: r[0], Section: r[1], Binds: r[2], Outside: r[3] == "y", Text: r[4]}
		at[r[0]] = i
	}
	for _, n := range notes {
		i, ok := at[n[0]]
		if !ok {
			return nil, fmt.Errorf("notes of MQTT %v: there is no statement %s", v, n[0])
		}
		list[i].Why, list[i].WhyClient = n[1], n[2]
	}
	return list, nil
}

// readTable reads tab-separated rows under a line with the names of the columns.
func readTable(name string, columns ...string) ([][]string, error) {
	text, err := tables.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	seen := map[string]bool{}
	for i, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		row := strings.Split(strings.TrimRight(line, "\r"), "\t")
		if len(row) != len(columns) {
			return nil, fmt.Errorf("%s:%d: %d columns, want %d", name, i+1, len(row), len(columns))
		}
		if i == 0 {
			if strings.Join(row, " ") != strings.Join(columns, " ") {
				return nil, fmt.Errorf("%s: columns are %q, want %q", name, row, columns)
			}
			continue
		}
		if seen[row[0]] {
			return nil, fmt.Errorf("%s:%d: %s twice", name, i+1, row[0])
		}
		seen[row[0]] = true
		rows = append(rows, row)
	}
	return rows, nil
}
