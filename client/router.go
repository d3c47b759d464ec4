package client

import (
	"fmt"
	"slices"

	"github.com/wirebird/wirebird/topic"
)

// maxRoutes is how many Topic Names a router remembers.
const maxRoutes = 1024

// A router finds the lanes of a topic: those of every filter that matches, or
// else the one of OnMessage. It is guarded by Client.mu.
type router struct {
	lanes    []*lane // of Handle
	fallback *lane   // of OnMessage, nil without
	cache    map[string]*route
}

// route is where the messages of one topic go. It does not change.
type route struct {
	topic string
	lanes []*lane
}

func (r *router) route(name []byte) *route {
	if known := r.cache[string(name)]; known != nil {
		return known
	}
	return r.routeName(string(name))
}

func (r *router) routeName(name string) *route {
	if known := r.cache[name]; known != nil {
		return known
	}
	to := &route{topic: name}
	for _, l := range r.lanes {
		if topic.Match(l.match, name) {
			to.lanes = append(to.lanes, l)
		}
	}
	if len(to.lanes) == 0 && r.fallback != nil {
		to.lanes = []*lane{r.fallback}
	}
	if r.cache == nil || len(r.cache) >= maxRoutes {
		r.cache = make(map[string]*route)
	}
	r.cache[name] = to
	return to
}

func (r *router) add(l *lane) {
	r.lanes, r.cache = append(r.lanes, l), nil
}

// remove forgets the lanes of filter and returns them.
func (r *router) remove(filter string) []*lane {
	var out []*lane
	r.lanes = slices.DeleteFunc(r.lanes, func(l *lane) bool {
		if l.Filter == filter {
			out = append(out, l)
		}
		return l.Filter == filter
	})
	r.cache = nil
	return out
}

// Handle calls fn for every message whose topic matches filter, in a lane of its
// own with the defaults. It does not subscribe; SubscribeFunc does both.
// Handlers belong to the client and survive reconnections. A message that
// several filters match goes to each of their handlers, one that none matches to
// Options.OnMessage.
func (c *Client) Handle(filter string, fn func(*Client, *Message)) error {
	return c.HandleWith(Handler{Filter: filter, Func: fn})
}

// HandleWith is Handle with a choice of how the lane behaves.
func (c *Client) HandleWith(h Handler) error {
	if err := h.check(); err != nil {
		return fmt.Errorf("handle: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return fmt.Errorf("handle %q: %w", h.Filter, ErrClosed)
	}
	c.flow.router.add(c.lanes.start(h, c))
	return nil
}

// Unhandle takes the handlers of filter away, those that Handle gave the same
// string. Messages that already wait for them are handled. It does not
// unsubscribe, and reports whether there was a handler.
func (c *Client) Unhandle(filter string) bool {
	c.mu.Lock()
	gone := c.flow.router.remove(filter)
	c.mu.Unlock()
	for _, l := range gone {
		c.lanes.finish(l, false)
	}
	return len(gone) > 0
}

func (h *Handler) check() error {
	switch err := topic.CheckFilter(h.Filter); {
	case err != nil:
		return fmt.Errorf("filter %q: %w", h.Filter, err)
	case h.Func == nil:
		return fmt.Errorf("filter %q: Func is nil", h.Filter)
	case h.Queue < 0:
		return fmt.Errorf("filter %q: Queue %d is less than 0", h.Filter, h.Queue)
	case h.Overflow > Block:
		return fmt.Errorf("filter %q: Overflow %d is none of DropNewest, DropOldest and Block", h.Filter, h.Overflow)
	}
	return nil
}
