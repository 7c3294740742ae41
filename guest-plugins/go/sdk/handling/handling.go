// Package handling is for plugins that judge responses: handling.Export in place of nozzle.Export.
package handling

import (
	"fmt"
	"time"

	"nozzle"
)

// Plugin shapes requests, and judges what comes of them.
type Plugin interface {
	nozzle.Plugin
	// Handle says what an outcome means for the events of its call. There is a response, or an error that says why
	// there is none: a *Failure.
	Handle(call Call, response *Response, failure error) Handled
}

// Export makes a plugin of what `construct` makes: call it in `init`, once, as nozzle.Export.
func Export[S any, P Plugin](defaults S, construct func(settings S) (P, error)) {
	nozzle.Export(defaults, construct)
}

// Response is a complete response; a 3xx too, as redirects are never followed.
type Response struct {
	Status int
	// Headers have names in lower case. Values that are no UTF-8 are left out.
	Headers []nozzle.Header
	Body    []byte
	// Truncated says that the body was longer than the host's limit, and ends there.
	Truncated bool
}

// OK says whether the status is a 2xx.
func (r *Response) OK() bool { return r.Status >= 200 && r.Status < 300 }

// Kind is a kind of Failure.
type Kind uint8

// Why no complete response arrived.
const (
	// Timeout: the attempt took longer than the sink's `timeout.attempt`.
	Timeout Kind = iota
	// Connect: refused, unreachable, or the name was not found.
	Connect
	// TLS: the handshake failed.
	TLS
	// Protocol: the connection ended early, or what came was not HTTP.
	Protocol
)

// Failure is why no complete response arrived.
type Failure struct {
	Kind Kind
	// Text is "" for a timeout.
	Text string
}

func (f *Failure) Error() string {
	kind := [...]string{"timeout", "connect", "tls", "protocol"}[f.Kind]
	if f.Text == "" {
		return kind
	}
	return fmt.Sprintf("%s: %s", kind, f.Text)
}

// Handled is a verdict, and results for the sink's result egress. Results are written even where events are tried
// again: emit them with the final verdict.
type Handled struct {
	// Verdict is by status where it is left out.
	Verdict Verdict
	Results []Emission
}

// Emission is a record for the sink's result egress.
type Emission struct {
	// Key is none where it is nil.
	Key        *string
	Attributes []nozzle.Header
	Data       []byte
}

// Verdict is what becomes of the events of a call.
type Verdict struct {
	kind   verdictKind
	after  *time.Duration
	reason string
	each   []EventVerdict
}

type verdictKind uint8

const (
	byStatus verdictKind = iota
	delivered
	retry
	reject
	each
)

// ByStatus leaves it to the sink's status policy.
func ByStatus() Verdict { return Verdict{} }

// Delivered: every event of the call is.
func Delivered() Verdict { return Verdict{kind: delivered} }

// Retry tries the call again.
func Retry() Verdict { return Verdict{kind: retry} }

// RetryAfter tries the call again; the wait is a wish, which the retry policy caps.
func RetryAfter(wait time.Duration) Verdict { return Verdict{kind: retry, after: &wait} }

// Reject dead-letters every event of the call.
func Reject(reason string) Verdict { return Verdict{kind: reject, reason: reason} }

// Each has one verdict for each event of the call, in their order.
func Each(verdicts []EventVerdict) Verdict { return Verdict{kind: each, each: verdicts} }

// EventVerdict is what becomes of one event of a call.
type EventVerdict struct {
	kind   eventKind
	reason string
}

type eventKind uint8

const (
	eventDelivered eventKind = iota
	eventRetry
	eventReject
)

// Event verdicts without a reason.
var (
	EventDelivered = EventVerdict{}
	// EventRetry shapes and sends the event again, without the others.
	EventRetry = EventVerdict{kind: eventRetry}
)

// EventReject dead-letters the event.
func EventReject(reason string) EventVerdict { return EventVerdict{eventReject, reason} }

// Event is one event of a call, taken out of its batch.
type Event struct {
	ID string
	// Key is none where it is nil.
	Key        *string
	Time       time.Time
	Attributes []nozzle.Header
	Data       []byte
}

// Call is the call whose outcome is being handled: only what is asked for is copied from the host. It is good until
// Handle returns.
type Call interface {
	// Attempt is 1 for the first one.
	Attempt() int
	// Request is the request as Shape returned it.
	Request() nozzle.Request
	// EventCount is how many events the call delivers.
	EventCount() int
	// Event is one event of the call, by its place in Request.Events.
	Event(index int) (Event, bool)
	// Events has all events of the call.
	Events() nozzle.Batch
}
