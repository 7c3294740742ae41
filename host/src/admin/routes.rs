//! Every path of the admin address, in one table: what is served, what the OpenAPI document says, and what tests ask for.

use http::Method;

/// What a request must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: those who watch over the process ask, and learn nothing else.
    Nothing,
    /// The token of the module, if it has one.
    Read,
    /// A token, or the right to use the Unix socket. Leaves a line in the audit log.
    Change,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Metrics,
    Live,
    Ready,
    Status,
    OpenApi,
    Sinks,
    Sink,
    Plugins,
    Ingresses,
    Pause,
    Resume,
    Drain,
    DrainHost,
    Reload,
    Swap,
    Rollback,
    Record,
}

/// A method of a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub(super) method: &'static Method,
    /// `{namespace}` and `{name}` stand for a segment each.
    pub(super) path: &'static str,
    pub(super) does: Does,
    pub(super) need: Need,
    /// For the document: a name for programs.
    pub(super) id: &'static str,
    /// For the document: what it is for.
    pub(super) summary: &'static str,
}

const fn get(path: &'static str, does: Does, id: &'static str, summary: &'static str) -> Route {
    Route {
        method: &Method::GET,
        path,
        does,
        need: Need::Read,
        id,
        summary,
    }
}

const fn open(route: Route) -> Route {
    Route {
        need: Need::Nothing,
        ..route
    }
}

const fn post(path: &'static str, does: Does, id: &'static str, summary: &'static str) -> Route {
    Route {
        method: &Method::POST,
        need: Need::Change,
        ..get(path, does, id, summary)
    }
}

#[rustfmt::skip]
pub(super) const ROUTES: [Route; 17] = [
    get("/metrics", Does::Metrics, "metrics", "Every metric, in the text format 0.0.4 or as OpenMetrics 1.0."),
    open(get("/live", Does::Live, "live", "Says that the process runs.")),
    open(get("/ready", Does::Ready, "ready", "Says whether the host is ready, and why not.")),
    get("/status", Does::Status, "status", "What runs and what it counts."),
    get("/v1/openapi.json", Does::OpenApi, "openapi", "This document."),
    get("/v1/sinks", Does::Sinks, "list-sinks", "The sinks, in the order of the module."),
    get("/v1/sinks/{namespace}/{name}", Does::Sink, "show-sink", "One sink."),
    post("/v1/sinks/{namespace}/{name}/pause", Does::Pause, "pause-sink", "The sink makes no new call. Calls in flight end; the ingress waits when the buffer is full. A pause lasts until `resume` or the end of the host."),
    post("/v1/sinks/{namespace}/{name}/resume", Does::Resume, "resume-sink", "The sink goes on, after `pause` or `drain`."),
    post("/v1/sinks/{namespace}/{name}/drain", Does::Drain, "drain-sink", "The sink delivers what it has, and takes in no more until `resume`."),
    get("/v1/plugins", Does::Plugins, "list-plugins", "The plugins, by sink: their versions, and what they count."),
    get("/v1/ingresses", Does::Ingresses, "list-ingresses", "The ingresses, and how far each partition is settled."),
    post("/v1/sinks/{namespace}/{name}/swap", Does::Swap, "swap-plugin", "Another version of the sink's plugin: the component in the body, or, without one, what the module names now. It is compiled, checked and rehearsed on the last batch; whatever fails leaves the one before serving."),
    post("/v1/sinks/{namespace}/{name}/rollback", Does::Rollback, "rollback-plugin", "The version of the plugin that served before serves again."),
    post("/v1/sinks/{namespace}/{name}/record", Does::Record, "record-sink", "The next batches of the sink, with what its plugin makes of them and what comes of their calls, as cases of `nozzle plugin test`: the answer holds records. Known secrets are taken out. It waits until all calls of so many batches have their end, or the time is over; who goes away ends it."),
    post("/v1/reload", Does::Reload, "reload-module", "The module file is read again. What is equal goes on untouched; a sink that differs hands over what it holds to its next incarnation, an ingress that differs is opened anew behind what is settled. Whatever fails leaves all as it was."),
    post("/v1/drain", Does::DrainHost, "drain-host", "The host reads no more, delivers what it has, and ends: as at SIGTERM."),
];

/// What a path and a method stand for.
#[derive(Debug)]
pub(super) enum Found {
    /// With what the path names: a sink's id.
    Route(&'static Route, Option<String>),
    /// The path has other methods.
    Methods(&'static str),
    Nothing,
}

/// Finds a route; HEAD is answered where GET is.
pub(super) fn find(method: &Method, path: &str) -> Found {
    let wanted = match method {
        &Method::HEAD => &Method::GET,
        method => method,
    };
    let mut other = None;
    for route in &ROUTES {
        let Some(id) = matched(route.path, path) else {
            continue;
        };
        if route.method == wanted {
            return Found::Route(route, id);
        }
        other = Some(match route.method {
            &Method::GET => "GET, HEAD",
            _ => "POST",
        });
    }
    other.map_or(Found::Nothing, Found::Methods)
}

/// What the template's names stand for in `path`, joined; none if it does not match.
fn matched(template: &str, path: &str) -> Option<Option<String>> {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    let mut named = Vec::new();
    loop {
        match (template.next(), path.next()) {
            (None, None) => return Some((!named.is_empty()).then(|| named.join("/"))),
            (Some(name), Some(segment)) if name.starts_with('{') => named.push(segment),
            (Some(fixed), Some(segment)) if fixed == segment => {}
            _ => return None,
        }
    }
}
