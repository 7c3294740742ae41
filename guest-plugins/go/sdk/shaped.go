package nozzle

// Shaped is the answer to a batch. Every index of the batch stands in exactly one place: in one request, under Drop or
// under Reject. Anything else is a contract violation, and nothing of the answer is used.
type Shaped struct {
	// Headers are sent with every request of this answer.
	Headers []Header
	// Requests are the calls that the host shall make.
	Requests []Request
	// Drop has what is filtered on purpose: done without a call, counted.
	Drop []uint32
	// Reject has what can never be delivered: it is dead-lettered with the reason.
	Reject []Rejection
}

// Header is a name and a value. The contract (wit/README.md) lists names that are the host's own.
type Header struct {
	Name, Value string
}

// Rejection is an event that is dead-lettered.
type Rejection struct {
	Event  uint32
	Reason string
}

// Request is one HTTP call that the host shall make.
type Request struct {
	// Method is one of GET, HEAD, POST, PUT, PATCH and DELETE; "" is POST.
	Method string
	// Endpoint is the name of one of the endpoints that the sink grants; "" is the default one.
	Endpoint string
	// Target is resolved against the endpoint's URL: "items" stands below its path, "/items" replaces it, "" is the
	// URL itself.
	Target string
	// Headers are those of this request alone; they win over those of the answer.
	Headers []Header
	// Body is nil for none.
	Body Body
	// Events has the batch indices that this call delivers, at least one.
	Events []uint32
}

// Body is what a request carries: Bytes or Joined.
type Body interface{ body() }

// Bytes is a body that the plugin has made.
type Bytes []byte

// Joined is a body that the host writes from its own copy of the records: prefix, data, separator, data, …, suffix.
// It is the cheap one.
type Joined struct {
	Prefix, Separator, Suffix string
}

func (Bytes) body()  {}
func (Joined) body() {}

// RejectEvent dead-letters an event.
func (s *Shaped) RejectEvent(event Event, reason error) {
	s.Reject = append(s.Reject, Rejection{event.Index(), reason.Error()})
}

// DropEvent filters an event out.
func (s *Shaped) DropEvent(event Event) {
	s.Drop = append(s.Drop, event.Index())
}
