//! The endpoints of a sink: the default one, and those that its plugin may name.

use std::{collections::BTreeMap, sync::Arc};

use super::{Checker, sink::Ids};
use crate::{
    config::{EndpointConfig, shape::endpoint::EndpointOfSinkYaml},
    delivery::DEFAULT,
};

/// The most endpoints that a sink may have.
const MAX_ENDPOINTS: usize = 64;
/// The longest name, in bytes.
const MAX_NAME: usize = 64;

/// `endpoint` and `endpoints` of a sink.
type Written = (
    Option<EndpointOfSinkYaml>,
    BTreeMap<String, EndpointOfSinkYaml>,
);

impl Checker<'_> {
    /// By name, the default one first. What is the sink's own is added to `endpoints`.
    pub(super) fn endpoints_of_sink(
        &mut self,
        index: &str,
        id: &str,
        (default, named): Written,
        ids: &Ids<'_>,
        endpoints: &mut Vec<Option<EndpointConfig>>,
    ) -> Option<Vec<(Arc<str>, usize)>> {
        let at = ["sinks", index];
        if default.is_none() && named.is_empty() {
            let message = format!("`{id}` has nowhere to send to");
            let hint =
                "write an `endpoint`, or `endpoints` of which its plugin names one in each request";
            self.wrong(&at, &[], message, Some(hint));
        }
        if named.len() > MAX_ENDPOINTS {
            let message = format!("`endpoints` has more than {MAX_ENDPOINTS} members");
            self.wrong(&at, &["endpoints"], message, None);
        }
        let mut all = Vec::new();
        if let Some(default) = default {
            let name = format!("endpoint of sink `{id}`");
            let place = ["sinks", index, "endpoint"];
            let endpoint = self.endpoint_of_sink(&place, name, default, ids, endpoints);
            all.push(endpoint.map(|endpoint| (DEFAULT.into(), endpoint)));
        }
        for (name, yaml) in named {
            let place = ["sinks", index, "endpoints", &name];
            if name == DEFAULT {
                let message = "`default` is the name of the `endpoint`".to_owned();
                let hint = "write it as `endpoint`, beside `endpoints`";
                self.wrong(&place, &[], message, Some(hint));
            } else if !is_name(&name) {
                let message = format!("`{name}` is no name of an endpoint");
                let hint = "a name has lower-case letters, digits and `-`, at most 64 of them";
                self.wrong(&place, &[], message, Some(hint));
            }
            let own = format!("endpoint `{name}` of sink `{id}`");
            let endpoint = self.endpoint_of_sink(&place, own, yaml, ids, endpoints);
            all.push(endpoint.map(|endpoint| (name.into(), endpoint)));
        }
        all.into_iter().collect()
    }

    fn endpoint_of_sink(
        &mut self,
        place: &[&str],
        name: String,
        yaml: EndpointOfSinkYaml,
        ids: &Ids<'_>,
        endpoints: &mut Vec<Option<EndpointConfig>>,
    ) -> Option<usize> {
        match yaml {
            EndpointOfSinkYaml::Named(id) => self.reference(place, &id, ids.endpoints, "endpoint"),
            EndpointOfSinkYaml::Own(own) => {
                endpoints.push(self.endpoint(place, name, *own));
                Some(endpoints.len() - 1)
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(known)
}
