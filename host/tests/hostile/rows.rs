//! The table: what the plugin `hostile` does with a batch, or an outcome, that holds a poisoned record.

/// What becomes of the poisoned record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// A dead letter with this cause and this text in its message.
    Letter(&'static str, &'static str),
    /// It is delivered: what the plugin did is taken from it, and its answer is not worse for it.
    Delivered,
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// `shape` or `handle`.
    pub(crate) at: &'static str,
    pub(crate) sin: &'static str,
    /// Further keys of `limits`.
    pub(crate) limits: &'static str,
    /// `batch.max-records`.
    pub(crate) batch: usize,
    pub(crate) end: End,
}

impl Row {
    /// The sink's name, and what its bodies begin with.
    pub(crate) fn tag(&self) -> String {
        format!("{}-{}{}", self.at, self.sin, self.batch)
    }

    const fn with(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }

    const fn each(self, batch: usize) -> Self {
        Self { batch, ..self }
    }
}

const fn shape(sin: &'static str, end: End) -> Row {
    Row {
        at: "shape",
        sin,
        limits: "",
        batch: 8,
        end,
    }
}

const fn handle(sin: &'static str, end: End) -> Row {
    Row {
        at: "handle",
        ..shape(sin, end)
    }
}

/// The plugin failed.
const fn fails(text: &'static str) -> End {
    End::Letter("plugin-failed", text)
}

/// Its answer breaks the contract.
const fn broken(text: &'static str) -> End {
    End::Letter("contract-violation", text)
}

/// For those who run into their time: all others have enough of it on any machine.
const SHORT: &str = "time: 100ms";

pub(crate) const ROWS: &[Row] = &[
    // It does not end, or not well.
    shape("panic", fails("it panics")),
    shape(
        "panic-escapes",
        fails(r"\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}it panics"),
    ),
    shape("exit", fails("Exited with i32 exit status 0")),
    shape("loop", fails("ran longer than 100ms (limits.time)")).with(SHORT),
    shape("sleep", fails("ran longer than 100ms (limits.time)")).with(SHORT),
    shape("alloc-loop", fails("ran longer than 100ms (limits.time)")).with(SHORT),
    shape(
        "post-return-loop",
        fails("ran longer than 100ms (limits.time)"),
    )
    .with(SHORT),
    shape("post-return-trap", fails("unreachable")),
    shape("recurse", fails("call stack exhausted")),
    shape("refuse", fails("the plugin refused the batch: it refuses")),
    shape(
        "refuse-long",
        fails(r"the plugin refused the batch: \u{1b}[31mno\u{d}\u{a}"),
    ),
    shape("current-call", fails("outside `handle`")),
    // It takes too much.
    shape("memory", fails("(`limits.memory`)")),
    shape("one-allocation", fails("(`limits.memory`)")),
    shape("output", fails("(`limits.output`)")),
    shape("large-body", fails("(`limits.output`)")),
    shape("leak", End::Delivered).each(2),
    shape("slow", End::Delivered).with("cpu: 0.25"),
    shape("slow", End::Delivered).each(1).with("instances: 4"),
    // It talks too much.
    shape("flood", End::Delivered),
    shape("flood-errors", End::Delivered),
    shape("flood-log", End::Delivered).with("log-lines: 3"),
    shape("long-line", End::Delivered),
    shape("long-fields", End::Delivered),
    shape("many-counters", End::Delivered),
    shape("bad-counters", End::Delivered),
    // It reaches out.
    shape("write-file", fails("it writes a file")),
    shape("read-file", fails("it reads a file")),
    shape("environment", fails("it sees no environment")),
    shape("socket", fails("it connects")),
    shape("thread", fails("failed to spawn thread")),
    shape("read-input", fails("it has no input")),
    // It is not the same each time.
    shape("sometimes-panics", End::Delivered).each(2),
    shape("panics-under-reuse", End::Delivered)
        .each(2)
        .with("recycle-after: 1"),
    // It invents, forgets and repeats.
    shape("omit", broken("requests[0] names no events")),
    shape("nothing", broken("event 0 stands in no request")),
    shape("repeat", broken("event 0 stands twice")),
    shape("repeat-million", broken("event 0 stands twice")),
    shape(
        "invent",
        broken("names event 1, but the batch has 1 events"),
    ),
    shape("invent-largest", broken("names event 4294967295")),
    shape("empty", broken("requests[1] names no events")),
    shape("many-requests", broken("event 0 stands twice")),
    shape("drop-and-send", broken("the second time in `drop`")),
    shape("reject-and-send", broken("the second time in `reject`")),
    shape("reject-invented", broken("`reject` names event 1")),
    shape(
        "long-reason",
        End::Letter("rejected-by-shape", r"no\u{1b}[31m\u{d}\u{a}\u{202e} "),
    ),
    shape("bad-text", fails("utf-8")),
    shape("bad-pointer", fails("out of bounds")),
    // It calls somebody else.
    shape("foreign-target", broken("leaves the endpoint")),
    shape("scheme-relative", broken("leaves the endpoint")),
    shape("other-scheme", broken("leaves the endpoint")),
    shape("userinfo-target", broken("leaves the endpoint")),
    shape("backslash-target", broken("it has the character '\\\\'")),
    shape("split-target", broken("it has the character ' ' at byte 1")),
    shape("nul-target", broken("it has the character '\\0' at byte 1")),
    shape("fragment-target", broken("a request has no fragment")),
    shape("long-target", broken("it has 1048576 bytes")),
    // It frames the message itself, or says whom it is for.
    shape(
        "framing-header",
        broken("`transfer-encoding` is the host's own"),
    ),
    shape(
        "length-header",
        broken("`content-length` is the host's own"),
    ),
    shape("host-header", broken("`host` is the host's own")),
    shape(
        "connection-header",
        broken("`connection` is the host's own"),
    ),
    shape(
        "proxy-header",
        broken("`proxy-authorization` is the host's own"),
    ),
    shape("upgrade-header", broken("`upgrade` is the host's own")),
    shape("expect-header", broken("`expect` is the host's own")),
    shape(
        "authorization-header",
        broken("`x-api-key` is set by the endpoint's configuration"),
    ),
    shape(
        "shared-header",
        broken("`x-api-key` is set by the endpoint's configuration"),
    ),
    shape("pseudo-header", broken("`:authority` is no header name")),
    shape("split-header", broken("the value of `x` has a character")),
    shape("split-header-name", broken("is no header name")),
    shape("nul-header", broken("the value of `x` has a character")),
    shape("folded-header", broken("the value of `x` has a character")),
    shape("unicode-header", broken("the value of `x` has a character")),
    shape("nameless-header", broken("`` is no header name")),
    shape("many-headers", broken("more than 128 headers")),
    shape("long-header", broken("more than 65536 bytes")),
    // Seventeen MiB between every two events: a single one has none.
    shape("separators", End::Delivered).with("output: 64MiB"),
    // It judges.
    handle("panic", fails("it panics")),
    handle("loop", fails("ran longer than 100ms (limits.time)")).with(SHORT),
    handle("sleep", fails("ran longer than 100ms (limits.time)")).with(SHORT),
    handle("recurse", fails("call stack exhausted")),
    handle("memory", fails("(`limits.memory`)")),
    handle("output", fails("(`limits.output`)")),
    handle("exit", fails("Exited with i32 exit status 0")),
    handle(
        "wrong-count",
        fails("the plugin returned 0 verdicts for 1 events"),
    ),
    handle(
        "count-many",
        fails("the plugin returned 100000 verdicts for 1 events"),
    ),
    handle(
        "many-results",
        fails("50000 results for one response, more than 10000 (`limits.results`)"),
    ),
    handle("large-results", fails("(`limits.output`)")),
    handle(
        "retry-forever",
        End::Letter("attempts-exhausted", "2 attempts failed"),
    )
    .each(1),
    handle(
        "long-wait",
        End::Letter("attempts-exhausted", "2 attempts failed"),
    )
    .each(1),
    handle(
        "long-reason",
        End::Letter("rejected-by-verdict", r"no\u{1b}[31m "),
    )
    .each(1),
];
