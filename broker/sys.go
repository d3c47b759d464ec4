package broker

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"time"

	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
)

// sys publishes $SYS/broker/…, under the names that mosquitto gives them.
type sys struct {
	last    Stats
	at      time.Duration // uptime of last
	loads   map[string]*load
	maximum int64 // connected clients, most ever
}

// load is an exponentially weighted moving average, per minute, over 1, 5 and 15 minutes.
type load [3]float64

func (l *load) update(perMinute float64, interval time.Duration) {
	for i, minutes := range [3]float64{1, 5, 15} {
		w := math.Exp(-interval.Minutes() / minutes)
		l[i] = perMinute + w*(l[i]-perMinute)
	}
}

// publishSys gathers the figures of all shards without waiting, and publishes them when
// the last shard has given its own.
func (k *core) publishSys() {
	if k.sys == nil {
		k.sys = &sys{loads: map[string]*load{}}
	}
	parts := make([]counters, len(k.b.cores))
	online := make([]int64, len(k.b.cores))
	missing := len(k.b.cores)
	for _, other := range k.b.cores {
		other.l.Post(func() {
			part, on := other.figures()
			k.l.Post(func() {
				parts[other.id], online[other.id] = part, on
				if missing--; missing == 0 {
					k.sys.publish(k, k.b.sum(parts, online))
				}
			})
		})
	}
}

func (y *sys) publish(k *core, s Stats) {
	put := func(name, value string) {
		k.publishMessage(&session.Message{Topic: "$SYS/broker/" + name, Payload: []byte(value), Retain: true}, 0)
	}
	count := func(name string, n int64) { put(name, strconv.FormatInt(n, 10)) }
	total := func(list [3]uint64) int64 { return int64(list[0] + list[1] + list[2]) }
	all := func(m map[packet.Type]uint64) (n int64) {
		for _, v := range m {
			n += int64(v)
		}
		return n
	}
	dropped := int64(0)
	for _, d := range Drops() {
		if d.Copies() {
			dropped += int64(s.Dropped[d])
		}
	}
	y.maximum = max(y.maximum, s.SessionsOnline)

	put("version", k.b.o.Version)
	put("uptime", fmt.Sprintf("%d seconds", int64(s.Uptime.Seconds())))
	count("clients/total", s.Sessions)
	count("clients/connected", s.SessionsOnline)
	count("clients/active", s.SessionsOnline)
	count("clients/disconnected", s.Sessions-s.SessionsOnline)
	count("clients/inactive", s.Sessions-s.SessionsOnline)
	count("clients/maximum", y.maximum)
	count("clients/expired", int64(s.SessionsExpired))
	count("messages/received", all(s.PacketsIn))
	count("messages/sent", all(s.PacketsOut))
	count("messages/inflight", s.Inflight)
	count("messages/stored", s.Retained+s.Queued)
	count("store/messages/count", s.Retained+s.Queued)
	count("store/messages/bytes", s.QueuedBytes)
	count("retained messages/count", s.Retained)
	count("subscriptions/count", s.Subscriptions)
	count("shared_subscriptions/count", s.SharedSubscriptions)
	count("publish/messages/received", total(s.MessagesIn))
	count("publish/messages/sent", total(s.MessagesOut))
	count("publish/messages/dropped", dropped)
	count("publish/bytes/received", int64(s.PayloadIn))
	count("publish/bytes/sent", int64(s.PayloadOut))
	count("bytes/received", int64(s.BytesIn))
	count("bytes/sent", int64(s.BytesOut))
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	count("heap/current", int64(mem.HeapAlloc))
	count("heap/maximum", int64(mem.HeapSys))
	for _, d := range Drops() {
		count("messages/dropped/"+d.String(), int64(s.Dropped[d]))
	}

	y.averages(put, s, all, total)
	y.last, y.at = s, s.Uptime
}

// averages publishes the moving averages since the last publication.
func (y *sys) averages(put func(name, value string), s Stats, all func(map[packet.Type]uint64) int64, total func([3]uint64) int64) {
	interval := s.Uptime - y.at
	if interval <= 0 {
		return
	}
	for _, f := range []struct {
		name     string
		now, was int64
	}{
		{"messages/received", all(s.PacketsIn), all(y.last.PacketsIn)},
		{"messages/sent", all(s.PacketsOut), all(y.last.PacketsOut)},
		{"publish/received", total(s.MessagesIn), total(y.last.MessagesIn)},
		{"publish/sent", total(s.MessagesOut), total(y.last.MessagesOut)},
		{"publish/dropped", int64(s.Dropped[DropQueueFull] + s.Dropped[DropSlowConsumer]), int64(y.last.Dropped[DropQueueFull] + y.last.Dropped[DropSlowConsumer])},
		{"bytes/received", int64(s.BytesIn), int64(y.last.BytesIn)},
		{"bytes/sent", int64(s.BytesOut), int64(y.last.BytesOut)},
		{"sockets", int64(s.ConnectionsOpened), int64(y.last.ConnectionsOpened)},
		{"connections", int64(s.Connects), int64(y.last.Connects)},
	} {
		l := y.loads[f.name]
		if l == nil {
			l = &load{}
			y.loads[f.name] = l
		}
		l.update(float64(f.now-f.was)/interval.Minutes(), interval)
		for i, minutes := range []string{"1min", "5min", "15min"} {
			put("load/"+f.name+"/"+minutes, strconv.FormatFloat(l[i], 'f', 2, 64))
		}
	}
}
