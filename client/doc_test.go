package client_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// api is the exported names of one package: "Func", "Type", "Type.Member".
type api struct {
	names map[string]bool
	bare  []string // those without a comment
}

func readAPI(t *testing.T, dir string) *api {
	t.Helper()
	set := token.NewFileSet()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	p, err := doc.NewFromFiles(set, files, "x/"+dir)
	if err != nil {
		t.Fatal(err)
	}
	a := &api{names: map[string]bool{}}
	a.values(append(p.Consts, p.Vars...))
	a.funcs("", p.Funcs)
	for _, typ := range p.Types {
		a.add(typ.Name, typ.Doc)
		a.values(append(typ.Consts, typ.Vars...))
		a.funcs("", typ.Funcs)
		a.funcs(typ.Name+".", typ.Methods)
		a.members(typ)
	}
	return a
}

func (a *api) add(name, comment string) {
	a.names[name] = true
	if comment == "" {
		a.bare = append(a.bare, name)
	}
}

func (a *api) funcs(prefix string, list []*doc.Func) {
	for _, f := range list {
		a.add(prefix+f.Name, f.Doc)
	}
}

// values may share the comment of their group.
func (a *api) values(list []*doc.Value) {
	for _, v := range list {
		for _, name := range v.Names {
			if ast.IsExported(name) {
				a.add(name, v.Doc)
			}
		}
	}
}

// members are fields and the methods of an interface.
func (a *api) members(typ *doc.Type) {
	for _, spec := range typ.Decl.Specs {
		var list *ast.FieldList
		switch def := spec.(*ast.TypeSpec).Type.(type) {
		case *ast.StructType:
			list = def.Fields
		case *ast.InterfaceType:
			list = def.Methods
		default:
			continue
		}
		for _, f := range list.List {
			for _, name := range f.Names {
				if name.IsExported() {
					a.add(typ.Name+"."+name.Name, f.Doc.Text()+f.Comment.Text())
				}
			}
		}
	}
}

func TestEveryExportedNameIsExplained(t *testing.T) {
	for _, dir := range []string{".", "clienttest"} {
		if a := readAPI(t, dir); len(a.names) < 5 || len(a.bare) > 0 {
			t.Errorf("%s: of %d names these have no comment: %v", dir, len(a.names), a.bare)
		}
	}
}

// pahoNames are the public names of Paho Python 2.1: the constructor's and the helpers'
// arguments, properties, methods, callbacks, types and functions.
const pahoNames = `Client callback_api_version client_id clean_session userdata protocol transport
reconnect_on_failure manual_ack host port keepalive connect_timeout username password
max_inflight_messages max_queued_messages logger will_topic will_payload suppress_exceptions
connect connect_async connect_srv bind_address bind_port clean_start reconnect disconnect
is_connected reinitialise enable_bridge_mode loop loop_forever loop_start loop_stop loop_read
loop_write loop_misc want_write socket publish subscribe unsubscribe ack manual_ack_set
message_callback_add message_callback_remove topic_callback connect_callback
connect_fail_callback disconnect_callback message_callback publish_callback
subscribe_callback unsubscribe_callback log_callback pre_connect_callback
socket_open_callback socket_close_callback socket_register_write_callback
socket_unregister_write_callback username_pw_set will_set will_clear tls_set tls_set_context
tls_insecure_set ws_set_options proxy_set reconnect_delay_set max_inflight_messages_set
max_queued_messages_set user_data_set user_data_get enable_logger disable_logger on_connect
on_disconnect on_publish on_subscribe on_unsubscribe on_message on_connect_fail
on_pre_connect on_log on_socket_open on_socket_close on_socket_register_write
on_socket_unregister_write MQTTMessage timestamp state dup mid topic payload qos retain info
properties MQTTMessageInfo rc wait_for_publish is_published Properties json pack unpack
isEmpty clear ReasonCode is_failure SubscribeOptions noLocal retainAsPublished
retainHandling MQTTMatcher topic_matches_sub error_string connack_string MQTTErrorCode
MQTTProtocolVersion ConnackCode LogLevel CallbackAPIVersion ConnectFlags DisconnectFlags
hostname will auth tls proxy_args publish.single publish.multiple subscribe.simple msg_count
retained subscribe.callback topics`

// pahoTable is the rows of the table in docs/client.md.
func pahoTable(t *testing.T) (rows [][2]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "client.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "| Paho Python 2.1 | here |\n|---|---|\n")
	if !ok {
		t.Fatal("docs/client.md has no table of Paho Python")
	}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if !strings.HasPrefix(line, "|") {
			break
		}
		if len(cells) != 2 {
			t.Fatalf("not a row of two: %s", line)
		}
		rows = append(rows, [2]string{cells[0], cells[1]})
	}
	return rows
}

var (
	span  = regexp.MustCompile("`([^`]+)`")
	ident = regexp.MustCompile(`[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_]+)*`)
)

func TestEveryNameOfPahoPythonIsInTheTable(t *testing.T) {
	have := map[string]bool{}
	for _, row := range pahoTable(t) {
		for _, s := range span.FindAllStringSubmatch(row[0], -1) {
			have[ident.FindString(s[1])] = true
		}
	}
	for _, name := range strings.Fields(pahoNames) {
		if !have[name] {
			t.Errorf("%s has no row", name)
		}
	}
}

// ofGo are names in the table that belong to the standard library, or to no package.
var ofGo = strings.Fields("net.Dialer net.Conn LocalAddr InsecureSkipVerify encoding error n mqtt mqtts wss")

func TestEveryNameThatTheTableGivesExists(t *testing.T) {
	packages := map[string]*api{
		"client": readAPI(t, "."), "packet": readAPI(t, filepath.Join("..", "packet")), "topic": readAPI(t, filepath.Join("..", "topic")),
	}
	seen := 0
	for _, row := range pahoTable(t) {
		owner := "" // of a name that follows without one
		for _, s := range span.FindAllStringSubmatch(row[1], -1) {
			name := ident.FindString(s[1])
			if slices.Contains(ofGo, name) {
				continue
			}
			seen++
			a := packages["client"]
			if pkg, rest, ok := strings.Cut(name, "."); ok && packages[pkg] != nil {
				a, name = packages[pkg], rest
				if a.names[name] {
					owner = pkg + "." + name
					continue
				}
			}
			if typ, _, ok := strings.Cut(name, "."); ok && a.names[name] {
				owner = typ
				continue
			}
			if a.names[name] && !strings.Contains(name, ".") {
				owner = name
				continue
			}
			if pkg, typ, ok := strings.Cut(owner, "."); ok && packages[pkg].names[typ+"."+name] {
				continue
			}
			if a.names[owner+"."+name] {
				continue
			}
			t.Errorf("%s: there is no %s", row[0], s[1])
		}
	}
	if seen < 80 {
		t.Errorf("only %d names found in the table of %v packages", seen, slices.Sorted(maps.Keys(packages)))
	}
}
