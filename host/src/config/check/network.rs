//! Which addresses may be dialled, and which URLs of the file have others.

use std::sync::Arc;

use url::Url;

use super::Checker;
use crate::{
    config::{problem::Problem, shape::network::NetworkYaml},
    http::settings::{EndpointSettings, Proxy},
    network::{AddressRules, Allowed, RefusedAddress},
};

impl Checker<'_> {
    pub(super) fn network(&mut self, yaml: &NetworkYaml) -> Arc<AddressRules> {
        let mut allow = Vec::new();
        for (index, text) in yaml.allow.iter().enumerate() {
            let at = ["network", "allow", &*index.to_string()];
            match text.parse::<Allowed>() {
                Ok(allowed) => allow.push(allowed),
                Err(hint) => {
                    let label = self.written(&at);
                    let message = format!("`{label}` names no addresses");
                    // The hint may repeat what was filled in.
                    let hint = (label == text).then_some(&*hint);
                    self.wrong(&at, &[], message, hint);
                }
            }
        }
        Arc::new(AddressRules::new(allow))
    }

    /// A URL at `at` whose host is an address that may not be dialled is a problem.
    pub(super) fn may_be_dialled(&mut self, at: &[&str], url: &Url) {
        if let Err(refused) = self.network.check_url(url) {
            let label = self.written(at);
            let label = label.split(['?', '#']).next().unwrap_or_default();
            let what = format!("`{label}`");
            self.not_dialled(at, &what, &refused);
        }
    }

    /// The same for the proxies before an endpoint's URLs.
    pub(super) fn proxies_may_be_dialled(&mut self, at: &[&str], settings: &EndpointSettings) {
        let others = settings.others.iter().map(|other| &other.url);
        let urls = std::iter::once(&settings.url).chain(others);
        let proxies = urls.filter_map(|url| settings.proxy.before(url).ok().flatten());
        let check = |proxy: Proxy| {
            let refused = self.network.check_host(&proxy.host()).err()?;
            Some((format!("the proxy `{}`", proxy.label()), refused))
        };
        let refused = proxies.into_iter().find_map(check);
        if let Some((what, refused)) = refused {
            self.not_dialled(&[at, &["proxy"]].concat(), &what, &refused);
        }
    }

    /// The address is not shown: it may be a secret.
    fn not_dialled(&mut self, at: &[&str], what: &str, refused: &RefusedAddress) {
        let kind = refused.kind;
        let message = format!("{what} has an address ({kind}) that is not dialled");
        let hint = format!(
            "if it is meant, allow it for the whole module: `network: {{ allow: [{kind}] }}`"
        );
        let problem = Problem::new(self.mark(at), message);
        self.problems.push(problem.hint(&hint));
    }
}
