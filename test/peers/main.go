// Command peers measures the client against Eclipse's Go clients: messages a second, CPU
// time and allocations of a message, publishing and receiving at each QoS.
//
// It is a module of its own, so that the peers are not among the product's modules. One
// run measures all of them in turn, each in a fresh process, against a broker in another
// process, and prints the medians. CPU time is that of the client's process alone.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/client"
)

func main() {
	rounds := flag.Int("rounds", 3, "how often each figure is measured; the table has the medians")
	scale := flag.Float64("scale", 1, "how many messages, as a multiple of the usual number")
	rows := flag.String("rows", "", "only the rows that match this regular expression")
	as := flag.String("as", "", "internal: broker, or the client to be in this process")
	job := flag.String("job", "", "internal: what to measure, as JSON")
	profile := flag.String("cpuprofile", "", "internal: where to write a CPU profile of the client")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch *as {
	case "":
		err = compare(ctx, *rounds, *scale, *rows, *profile)
	case "broker":
		err = serve(ctx)
	default:
		err = work(ctx, *as, *job, *profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// row is one line of the table.
type row struct {
	name string
	job  job
}

// job is what one process measures.
type job struct {
	URL      string
	Receive  bool
	QoS      byte
	Workers  int // goroutines that publish and wait; 0 is one that does not wait
	Messages int
}

func table() (rows []row) {
	for qos, n := range []int{150_000, 40_000, 20_000} {
		name := fmt.Sprintf("QoS %d", qos)
		rows = append(rows,
			row{"publish, " + name, job{QoS: byte(qos), Messages: n}},
			row{"publish and wait, 100 at a time, " + name, job{QoS: byte(qos), Workers: 100, Messages: n / 2}},
			row{"publish and wait, one at a time, " + name, job{QoS: byte(qos), Workers: 1, Messages: n / 10}},
			row{"receive, " + name, job{QoS: byte(qos), Receive: true, Messages: n}})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(order(a.job), order(b.job)) })
	return rows
}

func order(j job) int {
	switch {
	case j.Receive:
		return 3
	case j.Workers == 1:
		return 2
	case j.Workers > 1:
		return 1
	}
	return 0
}

// contestants are the clients, each peer beside ours with the same version of MQTT.
var contestants = []string{"wirebird 5.0", "paho.golang", "wirebird 3.1.1", "paho.mqtt.golang"}

func compare(ctx context.Context, rounds int, scale float64, only, profile string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	b := process(ctx, "broker", "", "")
	out, err := b.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.Start(); err != nil {
		return err
	}
	defer b.Wait()
	defer b.Process.Kill()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	p := newPrinter(os.Stdout)
	for _, r := range table() {
		if !wanted.MatchString(r.name) {
			continue
		}
		r.job.URL, r.job.Messages = strings.TrimSpace(url), int(float64(r.job.Messages)*scale)
		results := make(map[string][]result)
		for range rounds {
			for _, name := range contestants {
				res, err := measure(ctx, name, r.job, profile)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", r.name, name, err)
				}
				results[name] = append(results[name], res)
			}
		}
		p.row(r.name, results)
	}
	return nil
}

func process(ctx context.Context, as, job, profile string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "-as", as, "-job", job, "-cpuprofile", profile)
	cmd.Stderr = os.Stderr
	return cmd
}

// patience is for one figure.
const patience = time.Minute

// measure runs one client in a process of its own, and for a receiver publishes.
func measure(ctx context.Context, name string, j job, profile string) (res result, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	spec, err := json.Marshal(j)
	if err != nil {
		return res, err
	}
	cmd := process(ctx, name, string(spec), profile)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return res, err
	}
	if err := cmd.Start(); err != nil {
		return res, err
	}
	lines := bufio.NewReader(out)
	_, err = lines.ReadString('\n') // it is ready
	if j.Receive && err == nil {
		err = publish(ctx, j)
	}
	if err == nil {
		err = json.NewDecoder(lines).Decode(&res)
	}
	if err != nil {
		cmd.Process.Kill()
	}
	if e := cmd.Wait(); err == nil {
		err = e
	}
	return res, err
}

// publish feeds a receiver.
func publish(ctx context.Context, j job) error {
	return client.PublishMany(ctx, client.Options{URL: j.URL}, func(yield func(client.Message) bool) {
		for range j.Messages {
			if !yield(client.Message{Topic: topic, Payload: payload, QoS: j.QoS}) {
				return
			}
		}
	})
}

// serve is the broker. It drops nothing, because every message counts.
func serve(ctx context.Context) error {
	b, err := broker.New(broker.Options{Limits: broker.Limits{OutboundBuffer: 1 << 30}})
	if err != nil {
		return err
	}
	if err := b.Start(); err != nil {
		return err
	}
	l, err := b.Listen(broker.ListenOptions{URL: "tcp://127.0.0.1:0"})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(os.Stdout, l.URL+"\n"); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
