package scram_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/scram"
)

// The exchange of RFC 7677, section 3.
const (
	rfcUser        = "user"
	rfcPassword    = "pencil"
	rfcClientNonce = "rOprNGfwEbeRWgbNEkqO"
	rfcServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	rfcSalt        = "W22ZaJ0SNY7soEsUEjb6gQ=="
	rfcIterations  = 4096
)

var rfcMessages = []string{
	"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
}

func rfcLookup(user string) (scram.User, bool) {
	if user != rfcUser {
		return scram.User{}, false
	}
	salt, err := base64.StdEncoding.DecodeString(rfcSalt)
	if err != nil {
		panic(err)
	}
	return scram.Derive(rfcPassword, salt, rfcIterations), true
}

func rfcServer() *scram.Server {
	return scram.NewServer(rfcLookup, rfcServerNonce, []byte("secret"))
}

func TestScramFollowsRFC7677(t *testing.T) {
	server := rfcServer()
	client := scram.NewClient(rfcUser, rfcPassword, rfcClientNonce)
	var msg []byte
	for i, want := range rfcMessages {
		step, who := client.Step, "client"
		if i%2 == 1 {
			step, who = server.Step, "server"
		}
		if server.User() != "" {
			t.Errorf("User() = %q before the end", server.User())
		}
		out, done, err := step(msg)
		if err != nil || string(out) != want || done != (i == 3) {
			t.Fatalf("%s says %q, %v, %v; want %q", who, out, done, err, want)
		}
		msg = out
	}
	if out, done, err := client.Step(msg); len(out) != 0 || !done || err != nil {
		t.Errorf("client ends with %q, %v, %v", out, done, err)
	}
	if server.User() != rfcUser {
		t.Errorf("User() = %q; want %q", server.User(), rfcUser)
	}
	for _, step := range []func([]byte) ([]byte, bool, error){client.Step, server.Step} {
		if _, _, err := step(msg); err == nil {
			t.Error("an exchange that is over goes on")
		}
	}
}

// run lets client and server talk until one of them ends or fails.
func run(client *scram.Client, server *scram.Server) (clientErr, serverErr error) {
	var msg []byte
	for {
		out, done, err := client.Step(msg)
		if err != nil || done {
			return err, nil
		}
		if msg, _, err = server.Step(out); err != nil {
			return nil, err
		}
	}
}

func TestScramAdmitsWhoKnowsThePassword(t *testing.T) {
	users := map[string]string{"user": "pencil", "a=b,c": "=,=", "Jürgen": "Schlüssel", "empty": ""}
	lookup := func(user string) (scram.User, bool) {
		password, ok := users[user]
		if !ok {
			return scram.User{Iterations: 7, Salt: make([]byte, 5)}, false
		}
		return scram.Derive(password, []byte("salt!"), 7), true
	}
	for name, tt := range map[string]struct {
		user, password string
		want           error
	}{
		"right":            {"user", "pencil", nil},
		"escaped name":     {"a=b,c", "=,=", nil},
		"not ASCII":        {"Jürgen", "Schlüssel", nil},
		"empty password":   {"empty", "", nil},
		"wrong password":   {"user", "Pencil", scram.ErrBadCredentials},
		"unknown user":     {"nobody", "pencil", scram.ErrBadCredentials},
		"another's secret": {"empty", "pencil", scram.ErrBadCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			server := scram.NewServer(lookup, "server", []byte("secret"))
			clientErr, serverErr := run(scram.NewClient(tt.user, tt.password, "client"), server)
			if clientErr != nil || !errors.Is(serverErr, tt.want) {
				t.Errorf("client %v, server %v; want %v", clientErr, serverErr, tt.want)
			}
			want := tt.user
			if tt.want != nil {
				want = ""
			}
			if server.User() != want {
				t.Errorf("User() = %q; want %q", server.User(), want)
			}
		})
	}
}

func TestScramDoesNotTellWhoExists(t *testing.T) {
	ask := func(user, secret string, like scram.User) string {
		lookup := func(string) (scram.User, bool) { return like, false }
		out, _, err := scram.NewServer(lookup, "server", []byte(secret)).Step([]byte("n,,n=" + user + ",r=client"))
		if err != nil {
			t.Fatalf("first message of an unknown user: %v", err)
		}
		return string(out)
	}
	first := ask("nobody", "secret", scram.User{})
	if again := ask("nobody", "secret", scram.User{}); again != first {
		t.Errorf("the same unknown user has two salts: %s, %s", first, again)
	}
	if other := ask("noone", "secret", scram.User{}); other == first {
		t.Error("two unknown users have the same salt")
	}
	if other := ask("nobody", "another", scram.User{}); other == first {
		t.Error("the salt of an unknown user does not depend on the secret")
	}
	if !strings.HasSuffix(first, ",i=4096") {
		t.Errorf("%s; want 4096 iterations", first)
	}
	like := ask("nobody", "secret", scram.User{Iterations: 10000, Salt: make([]byte, 40)})
	_, text, _ := strings.Cut(like, ",s=")
	text, iterations, _ := strings.Cut(text, ",i=")
	if salt, err := base64.StdEncoding.DecodeString(text); err != nil || len(salt) != 40 || iterations != "10000" {
		t.Errorf("%s; want a salt of 40 bytes and 10000 iterations", like)
	}
}

func TestScramServerRefuses(t *testing.T) {
	valid := rfcMessages[2]
	nonce := rfcClientNonce + rfcServerNonce
	for name, tt := range map[string]struct{ first, final, want string }{
		"nothing":               {"", "", "message has no gs2 header"},
		"channel binding":       {"p=tls-unique,,n=user,r=x", "", "channel binding is not supported"},
		"no gs2 end":            {"n,a=user", "", "message has no gs2 header"},
		"odd identity":          {"n,b=user,n=user,r=x", "", "gs2 header has no attribute a="},
		"another identity":      {"n,a=admin,n=user,r=x", "", "authorization identity is not the user name"},
		"mandatory extension":   {"n,,m=x,n=user,r=x", "", "message has no attribute n= where it is due"},
		"empty name":            {"n,,n=,r=x", "", "user name is empty"},
		"odd escape":            {"n,,n=a=2D,r=x", "", "user name has = other than in =2C and =3D"},
		"no nonce":              {"n,,n=user", "", "message has no attribute r= where it is due"},
		"empty nonce":           {"n,,n=user,r=", "", "nonce is not printable ASCII"},
		"not UTF-8":             {"n,,n=\xff,r=x", "", "message is not UTF-8 text"},
		"NUL":                   {"n,,n=a\x00,r=x", "", "message is not UTF-8 text"},
		"too long":              {"n,,n=" + strings.Repeat("a", 5000) + ",r=x", "", "message has 5009 bytes; at most 4096 are read"},
		"no proof":              {rfcMessages[0], "c=biws,r=" + nonce, "message has no proof"},
		"other channel binding": {rfcMessages[0], strings.Replace(valid, "biws", "eSws", 1), "channel binding differs from the first message"},
		"other nonce":           {rfcMessages[0], strings.Replace(valid, "%hv", "%hw", 1), "nonce differs from the first message"},
		"short proof":           {rfcMessages[0], "c=biws,r=" + nonce + ",p=YQ==", "proof is not 32 bytes of base64"},
		"odd proof":             {rfcMessages[0], "c=biws,r=" + nonce + ",p=!", "proof is not 32 bytes of base64"},
		"other proof":           {rfcMessages[0], strings.Replace(valid, "dHzb", "dHzc", 1), scram.ErrBadCredentials.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			server := rfcServer()
			_, _, err := server.Step([]byte(tt.first))
			if tt.final != "" && err == nil {
				_, _, err = server.Step([]byte(tt.final))
			}
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v; want %s", err, tt.want)
			}
			if _, done, err := server.Step([]byte(valid)); done || err == nil || server.User() != "" {
				t.Error("the exchange goes on after an error")
			}
		})
	}
}

func TestScramServerTakesWhatTheStandardAllows(t *testing.T) {
	for _, first := range []string{
		"y,,n=user,r=x",
		"n,a=user,n=user,r=x",
		"n,,n=user,r=x,future=1",
	} {
		if _, _, err := rfcServer().Step([]byte(first)); err != nil {
			t.Errorf("%s: %v", first, err)
		}
	}
}

func TestScramClientRefuses(t *testing.T) {
	nonce := rfcClientNonce + rfcServerNonce
	for name, tt := range map[string]struct{ first, final, want string }{
		"foreign nonce":    {"r=x" + nonce + ",s=YQ==,i=1", "", "nonce of the server does not extend the client's"},
		"same nonce":       {"r=" + rfcClientNonce + ",s=YQ==,i=1", "", "nonce of the server does not extend the client's"},
		"no salt":          {"r=" + nonce + ",s=,i=1", "", "salt is not base64"},
		"no iterations":    {"r=" + nonce + ",s=YQ==", "", "message has no attribute i= where it is due"},
		"zero iterations":  {"r=" + nonce + ",s=YQ==,i=0", "", "server asks for iterations other than 1 to 1000000"},
		"many iterations":  {"r=" + nonce + ",s=YQ==,i=1000001", "", "server asks for iterations other than 1 to 1000000"},
		"extension":        {"m=x,r=" + nonce + ",s=YQ==,i=1", "", "message has no attribute r= where it is due"},
		"error":            {rfcMessages[1], "e=invalid-proof", `server refuses: "invalid-proof"`},
		"no signature":     {rfcMessages[1], "x", "message has no attribute v= where it is due"},
		"short signature":  {rfcMessages[1], "v=YQ==", "signature is not 32 bytes of base64"},
		"forged signature": {rfcMessages[1], "v=" + strings.Repeat("A", 43) + "=", scram.ErrBadServer.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			client := scram.NewClient(rfcUser, rfcPassword, rfcClientNonce)
			if _, _, err := client.Step(nil); err != nil {
				t.Fatal(err)
			}
			_, _, err := client.Step([]byte(tt.first))
			if tt.final != "" && err == nil {
				_, _, err = client.Step([]byte(tt.final))
			}
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v; want %s", err, tt.want)
			}
		})
	}
	if _, _, err := scram.NewClient("u", "p", "a,b").Step(nil); err == nil {
		t.Error("a nonce with a comma is taken")
	}
	if _, _, err := scram.NewClient("", "p", "n").Step(nil); err == nil {
		t.Error("an empty user name is taken")
	}
	if _, _, err := scram.NewClient("u", "p", "n").Step([]byte("x")); err == nil {
		t.Error("a server that speaks first is answered")
	}
}

func TestParseUserRefuses(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, tt := range map[string]struct{ in, want string }{
		"other method":    {"SCRAM-SHA-1$1:YQ==$" + key + ":" + key, "want SCRAM-SHA-256$iterations:salt$stored:server"},
		"no keys":         {"SCRAM-SHA-256$1:YQ==", "want SCRAM-SHA-256$iterations:salt$stored:server"},
		"zero iterations": {"SCRAM-SHA-256$0:YQ==$" + key + ":" + key, "want from 1 to 10000000 iterations"},
		"salt":            {"SCRAM-SHA-256$1:!$" + key + ":" + key, "salt is not base64"},
		"empty salt":      {"SCRAM-SHA-256$1:$" + key + ":" + key, "salt has 0 bytes; want at least 1"},
		"short stored":    {"SCRAM-SHA-256$1:YQ==$YQ==:" + key, "stored key has 1 bytes; want at least 32"},
		"server key":      {"SCRAM-SHA-256$1:YQ==$" + key + ":" + key[1:], "server key is not base64"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := scram.ParseUser(tt.in); err == nil || err.Error() != tt.want {
				t.Errorf("error %v; want %s", err, tt.want)
			}
		})
	}
}

func FuzzParseUser(f *testing.F) {
	f.Add(scram.Derive("p", []byte("salt"), 1).String())
	f.Add("SCRAM-SHA-256$4096:$:")
	f.Fuzz(func(t *testing.T, in string) {
		u, err := scram.ParseUser(in)
		if err != nil {
			return
		}
		again, err := scram.ParseUser(u.String())
		if err != nil || again.String() != u.String() || again.Iterations != u.Iterations || !bytes.Equal(again.Salt, u.Salt) {
			t.Errorf("%q reads as %+v, which writes %v and reads as %+v, %v", in, u, u, again, err)
		}
	})
}

// Without the password no sequence of messages ends well.
func FuzzServer(f *testing.F) {
	f.Add([]byte(rfcMessages[0]), []byte(rfcMessages[2]))
	f.Add([]byte("y,a=user,n=user,r=x"), []byte("c=eSws,r=xy,p="))
	user := scram.Derive("a password that nobody guesses", []byte("salt"), 1)
	f.Fuzz(func(t *testing.T, first, final []byte) {
		server := scram.NewServer(func(name string) (scram.User, bool) { return user, name == "user" }, "nonce", []byte("secret"))
		out, done, err := server.Step(first)
		if done || (err == nil) != (len(out) > 0) {
			t.Fatalf("Step(%q) = %q, %v, %v", first, out, done, err)
		}
		if out, done, err := server.Step(final); done || err == nil || out != nil || server.User() != "" {
			t.Errorf("Step(%q), Step(%q) = %q, %v, %v", first, final, out, done, err)
		}
	})
}

// A client believes no server that does not know the user.
func FuzzClient(f *testing.F) {
	f.Add([]byte("r=noncex,s=YQ==,i=1"), []byte("v="+strings.Repeat("A", 43)+"="))
	f.Add([]byte("r=noncex,s=YQ==,i=1"), []byte("e=other-error"))
	f.Fuzz(func(t *testing.T, first, final []byte) {
		if _, after, _ := bytes.Cut(first, []byte(",i=")); len(after) > 3 {
			t.Skip("takes long, as it asks to")
		}
		client := scram.NewClient("user", "a password that nobody guesses", "nonce")
		if _, _, err := client.Step(nil); err != nil {
			t.Fatal(err)
		}
		out, done, err := client.Step(first)
		if done || (err == nil) != bytes.Contains(out, []byte(",p=")) {
			t.Fatalf("Step(%q) = %q, %v, %v", first, out, done, err)
		}
		if _, done, err := client.Step(final); done || err == nil {
			t.Errorf("Step(%q), Step(%q) = %v, %v", first, final, done, err)
		}
	})
}

func BenchmarkServer(b *testing.B) {
	user, _ := rfcLookup(rfcUser)
	lookup := func(string) (scram.User, bool) { return user, true }
	first, final := []byte(rfcMessages[0]), []byte(rfcMessages[2])
	b.ReportAllocs()
	for b.Loop() {
		server := scram.NewServer(lookup, rfcServerNonce, nil)
		if _, _, err := server.Step(first); err != nil {
			b.Fatal(err)
		}
		if _, done, err := server.Step(final); !done {
			b.Fatal(err)
		}
	}
}

func ExampleServer() {
	users := map[string]scram.User{"alice": scram.Derive("secret", []byte("salt of alice"), 4096)}
	lookup := func(user string) (scram.User, bool) { u, ok := users[user]; return u, ok }
	server := scram.NewServer(lookup, "server-nonce", []byte("random"))
	client := scram.NewClient("alice", "secret", "client-nonce")
	for msg, done := []byte(nil), false; !done; {
		var err error
		if msg, done, err = client.Step(msg); err != nil || done {
			break
		}
		if msg, _, err = server.Step(msg); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(server.User())
	// Output: alice
}
