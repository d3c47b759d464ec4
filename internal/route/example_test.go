package route_test

import (
	"fmt"

	"github.com/wirebird/wirebird/internal/route"
)

func ExampleTable_Match() {
	table := route.New(2)
	table.Subscribe("plant7/+/temperature", route.MakeHandle(0, 1, 40), 1, 0)
	table.Subscribe("plant7/#", route.MakeHandle(1, 1, 41), 0, 17)
	table.Subscribe("$share/workers/plant7/#", route.MakeHandle(1, 1, 42), 2, 0)

	var m route.Match // kept by its shard, and filled again when Gen has changed
	table.Match("plant7/line3/temperature", &m)
	for shard, targets := range m.ByShard {
		for _, one := range targets {
			fmt.Printf("shard %d: session %d, QoS %d, identifier %d\n", shard, one.To.Index(), one.Opts.QoS(), one.ID)
		}
	}
	for i := range m.Groups {
		g := &m.Groups[i]
		one := g.Members[g.Next%uint32(len(g.Members))]
		g.Next++
		fmt.Printf("share %s: session %d\n", g.Share, one.To.Index())
	}
	fmt.Println("fresh:", m.Gen == table.Gen())
	// Output:
	// shard 0: session 40, QoS 1, identifier 0
	// shard 1: session 41, QoS 0, identifier 17
	// share workers: session 42
	// fresh: true
}

func ExampleRetained_Walk() {
	retained := route.NewRetained[string]()
	retained.Put("plant7/line3/state", "running")
	retained.Put("plant8/line1/state", "stopped")
	walk := retained.Walk("plant7/#")
	for over := false; !over; {
		steps := 1000 // and then something else has its turn
		over = walk.Next(&steps, func(name, state string, fresh bool) {
			fmt.Println(name, state)
		})
	}
	// Output: plant7/line3/state running
}
