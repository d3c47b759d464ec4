package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFileBytes is far more than all settings need. The parser's time grows with
// the square of the depth of a file.
const maxFileBytes = 64 << 10

// file reads the YAML file at path into the configuration.
func (l *loader) file(path string) {
	text, err := readFile(path)
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	// The parser counts a comment's CRLF as two lines and takes a byte order
	// mark for the beginning of a key.
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	r := &fileReader{loader: l, path: path}
	doc, err := r.parse(text)
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	if doc != nil {
		r.mapping("", doc)
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("%s:1:1: file is larger than %v", path, Size(maxFileBytes))
	}
	return text, nil
}

// fileReader walks the syntax tree of one file. Walking it instead of decoding
// into a struct keeps the position of every key and value.
type fileReader struct {
	*loader
	path string
}

// parse returns the only document of the file, nil if there is none.
func (r *fileReader) parse(text []byte) (doc ast.Node, err error) {
	defer func() {
		// The parser is not ours. A file it stumbles over is refused like any
		// other that is not YAML.
		if v := recover(); v != nil {
			doc, err = nil, fmt.Errorf("%s:1:1: not YAML: %s", r.path, oneLine(fmt.Sprint(v)))
		}
	}()
	if i := bytes.IndexByte(text, 0); i >= 0 {
		line := bytes.Count(text[:i], []byte("\n")) + 1
		return nil, fmt.Errorf("%s:%d:%d: NUL byte", r.path, line, i-bytes.LastIndexByte(text[:i], '\n'))
	}
	f, err := parser.ParseBytes(text, 0)
	if err != nil {
		var syntax yaml.Error
		if !errors.As(err, &syntax) {
			return nil, fmt.Errorf("%s:1:1: %s", r.path, oneLine(err.Error()))
		}
		return nil, r.errorf(syntax.GetToken(), "%s", oneLine(syntax.GetMessage()))
	}
	for _, d := range f.Docs {
		switch {
		case d.Body == nil:
		case d.Body.Type() == ast.DirectiveType:
			return nil, r.errorf(d.Body.GetToken(), "YAML directives are not read here")
		case doc != nil:
			return nil, r.errorf(d.Start, "a second document; the file has only one")
		default:
			doc = d.Body
		}
	}
	return doc, nil
}

// oneLine makes a message of the parser, which may quote the file, printable and
// short.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "..."
	}
	return s
}

// errorf begins an error with the position of t.
func (r *fileReader) errorf(t *token.Token, format string, args ...any) error {
	line, column := 1, 1
	if t != nil && t.Position != nil {
		line, column = max(1, t.Position.Line), max(1, t.Position.Column)
	}
	return fmt.Errorf("%s:%d:%d: %w", r.path, line, column, fmt.Errorf(format, args...))
}

func (r *fileReader) fail(t *token.Token, format string, args ...any) {
	r.errs = append(r.errs, r.errorf(t, format, args...))
}

// origin is what Origins says of a value at t.
func (r *fileReader) origin(t *token.Token) string {
	return fmt.Sprintf("%s:%d", r.path, t.Position.Line)
}

// mapping reads the settings below prefix, which is "" or ends with a dot.
func (r *fileReader) mapping(prefix string, node ast.Node) {
	values, ok := r.pairs(node, strings.TrimSuffix(prefix, "."))
	if !ok {
		return
	}
	for _, pair := range values {
		name, ok := r.key(pair)
		if !ok {
			continue
		}
		key := prefix + name
		s, known := r.setting(key)
		switch {
		case key == "limits":
			r.mapping("limits.", pair.Value)
		case !known:
			names := r.keys()
			if prefix == "" {
				names = append(names, "limits")
			}
			r.fail(pair.Key.GetToken(), "unknown key %s%s", quote(key), didYouMean(`"`, suggest(key, names)))
		case prefix == "" && strings.Contains(key, "."):
			group, rest, _ := strings.Cut(key, ".")
			r.fail(pair.Key.GetToken(), "key %q is written as %s: below %s:", key, rest, group)
		case key == "listen":
			r.listen(pair)
		default:
			if text, ok := r.scalar(pair.Value, key); ok {
				r.set(s, text, r.where(pair.Value.GetToken(), key), r.origin(pair.Key.GetToken()))
			}
		}
	}
}

// pairs returns the keys and values of node, which the file calls name. Nothing
// at all is an empty mapping: a group of which all lines are comments.
func (r *fileReader) pairs(node ast.Node, name string) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	case *ast.NullNode:
		return nil, true
	}
	if name == "" {
		r.fail(node.GetToken(), "want keys and values such as log_level: info")
	} else {
		r.fail(node.GetToken(), "%s: want keys and values", name)
	}
	return nil, false
}

// key returns the name of a pair.
func (r *fileReader) key(pair *ast.MappingValueNode) (string, bool) {
	switch k := pair.Key.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return k.GetToken().Value, true
	}
	r.fail(pair.Key.GetToken(), "want the name of a setting")
	return "", false
}

// scalar returns the text of node, the value of key. Types do not matter: what
// a value means is for its setting to say.
func (r *fileReader) scalar(node ast.Node, key string) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.NullNode:
		r.fail(n.GetToken(), "%s: has no value; leave the line out for the default", key)
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		r.fail(n.GetToken(), "%s: anchors, aliases and tags are not read here", key)
	default:
		r.fail(node.GetToken(), "%s: want a single value", key)
	}
	return "", false
}

// where begins the error about the value of key at t.
func (r *fileReader) where(t *token.Token, key string) string {
	return fmt.Sprintf("%s:%d:%d: %s", r.path, t.Position.Line, t.Position.Column, key)
}

// listen reads the list of addresses. An element is an address or a mapping.
func (r *fileReader) listen(pair *ast.MappingValueNode) {
	list, ok := pair.Value.(*ast.SequenceNode)
	if !ok {
		r.fail(pair.Value.GetToken(), "listen: want a list such as [tcp://127.0.0.1:1883]")
		return
	}
	r.cfg.Listen = nil
	r.origins["listen"] = r.origin(pair.Key.GetToken())
	for _, node := range list.Values {
		l, url := r.listener(node)
		if url == nil {
			continue // said already
		}
		r.cfg.Listen = append(r.cfg.Listen, l)
		for _, err := range checkURLs([]Listener{l}) {
			r.fail(url.GetToken(), "%w", err)
		}
	}
}

// listener returns one element and where its address stands, nil after an
// error.
func (r *fileReader) listener(node ast.Node) (l Listener, url ast.Node) {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		text, ok := r.scalar(node, "listen")
		if !ok {
			return l, nil
		}
		return Listener{URL: text}, node
	}
	values, _ := r.pairs(node, "listen")
	failed := len(r.errs)
	var origins ast.Node
	for _, pair := range values {
		switch name, ok := r.key(pair); {
		case !ok:
		case name == "url":
			l.URL, _ = r.scalar(pair.Value, "listen.url")
			url = pair.Value
		case name == "allow_anonymous":
			l.AllowAnonymous = r.boolean(pair.Value, "listen.allow_anonymous")
		case name == "origins":
			l.Origins = r.strings(pair.Value, "listen.origins")
			origins = pair.Value
		default:
			meant := suggest(name, []string{"url", "allow_anonymous", "origins"})
			r.fail(pair.Key.GetToken(), "unknown key %s of listen%s", quote(name), didYouMean(`"`, meant))
		}
	}
	switch {
	case len(r.errs) > failed:
		return l, nil
	case url == nil:
		r.fail(node.GetToken(), "listen: element has no url")
	case origins != nil:
		if err := checkOrigins(l); err != nil {
			r.fail(origins.GetToken(), "%w", err)
		}
	}
	return l, url
}

func (r *fileReader) boolean(node ast.Node, key string) *bool {
	text, ok := r.scalar(node, key)
	if !ok {
		return nil
	}
	v, ok := parseBool(text)
	if !ok {
		r.fail(node.GetToken(), "%s: want true or false, not %s", key, quote(text))
		return nil
	}
	return &v
}

func (r *fileReader) strings(node ast.Node, key string) []string {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		r.fail(node.GetToken(), "%s: want a list", key)
		return nil
	}
	var out []string
	for _, n := range list.Values {
		if text, ok := r.scalar(n, key); ok {
			out = append(out, text)
		}
	}
	return out
}
