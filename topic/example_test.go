package topic_test

import (
	"fmt"

	"github.com/wirebird/wirebird/topic"
)

func ExampleCheckName() {
	fmt.Println(topic.CheckName("plant7/line3/temperature"))
	fmt.Println(topic.CheckName("plant7/+/temperature"))
	// Output:
	// <nil>
	// topic: wildcard in a topic name
}

func ExampleCheckFilter() {
	fmt.Println(topic.CheckFilter("plant7/+/temperature"))
	fmt.Println(topic.CheckFilter("plant7/line+/temperature"))
	fmt.Println(topic.CheckFilter("$share//plant7/#"))
	// Output:
	// <nil>
	// topic: + does not fill a level of the filter
	// topic: shared filter is not of the form $share/name/rest
}

func ExampleMatch() {
	fmt.Println(topic.Match("plant7/+/temperature", "plant7/line3/temperature"))
	fmt.Println(topic.Match("plant7/#", "plant7"))
	fmt.Println(topic.Match("#", "$SYS/broker/uptime"))
	// Output:
	// true
	// true
	// false
}

func ExampleSplitShare() {
	share, rest := topic.SplitShare("$share/workers/plant7/#")
	fmt.Println(share, rest)
	// Output: workers plant7/#
}

func ExampleLevels() {
	fmt.Println(topic.Levels("plant7/line3/temperature"))
	// Output: 3
}

func ExampleHasWildcard() {
	fmt.Println(topic.HasWildcard("$share/workers/plant7/#"))
	// Output: true
}
