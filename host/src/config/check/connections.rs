//! Where connections of an endpoint go: URLs, proxy, Unix socket, version of HTTP.

use std::sync::Arc;

use url::Url;

use super::{Checker, endpoint::check_url};
use crate::{
    config::{
        relative,
        shape::endpoint::{EndpointYaml, HttpYaml, PreferYaml},
    },
    http::settings::{
        EndpointSettings, HttpVersion, OtherUrl, Prefer, Proxy, ProxyRule, UnixSocket,
    },
};

impl Checker<'_> {
    /// The settings of an endpoint at `at`, with what connections need of it.
    pub(super) fn connections(
        &mut self,
        at: &[&str],
        yaml: &EndpointYaml,
    ) -> Option<EndpointSettings> {
        let mut urls = self.urls(at, yaml)?.into_iter();
        let first = urls.next()?;
        let mut settings = EndpointSettings::new(first.url, first.label);
        settings.others = urls.collect();
        settings.network = Arc::clone(&self.network);
        settings.prefer = match yaml.prefer {
            None | Some(PreferYaml::First) => Prefer::First,
            Some(PreferYaml::Spread) => Prefer::Spread,
        };
        settings.http = match yaml.http {
            HttpYaml::Auto => HttpVersion::Auto,
            HttpYaml::Http1 => HttpVersion::Http1,
            HttpYaml::Http2 => HttpVersion::Http2,
        };
        if let Some(path) = &yaml.unix_socket {
            settings.unix_socket = self.unix_socket(at, path, yaml);
        } else {
            settings.proxy = self.proxy(at, yaml.proxy.as_deref(), &settings)?;
            self.dialled(at, yaml, &settings);
        }
        Some(settings)
    }

    /// What the settings would dial must be allowed, as far as the file tells.
    fn dialled(&mut self, at: &[&str], yaml: &EndpointYaml, settings: &EndpointSettings) {
        if yaml.urls.is_none() {
            self.may_be_dialled(&[at, &["url"]].concat(), &settings.url);
        } else {
            let others = settings.others.iter().map(|other| &other.url);
            for (index, url) in std::iter::once(&settings.url).chain(others).enumerate() {
                self.may_be_dialled(&[at, &["urls", &*index.to_string()]].concat(), url);
            }
        }
        self.proxies_may_be_dialled(at, settings);
    }

    /// At least one, all of one scheme.
    fn urls(&mut self, at: &[&str], yaml: &EndpointYaml) -> Option<Vec<OtherUrl>> {
        if yaml.prefer.is_some() && yaml.urls.is_none() {
            let message = "`prefer` means nothing without `urls`";
            self.wrong(at, &["prefer"], message.to_owned(), None);
        }
        let several = match (&yaml.url, &yaml.urls) {
            (Some(url), None) => {
                return self.url(&[at, &["url"]].concat(), url).map(|url| vec![url]);
            }
            (None, Some(several)) => several,
            (found, _) => {
                let message = "`endpoint` needs exactly one of `url` and `urls`".to_owned();
                let key: &[&str] = if found.is_some() { &["urls"] } else { &[] };
                self.wrong(at, key, message, None);
                return None;
            }
        };
        if several.is_empty() {
            let message = "`urls` is empty: calls have nowhere to go".to_owned();
            self.wrong(at, &["urls"], message, None);
        }
        let mut urls: Vec<OtherUrl> = Vec::new();
        let mut is_whole = !several.is_empty();
        for (index, text) in several.iter().enumerate() {
            let index = index.to_string();
            let key = ["urls", &*index];
            let Some(next) = self.url(&[at, &key].concat(), text) else {
                is_whole = false;
                continue;
            };
            let label = &next.label;
            if urls.iter().any(|url| url.url == next.url) {
                let message = format!("`{label}` stands twice in `urls`");
                self.wrong(at, &key, message, None);
            }
            if urls
                .first()
                .is_some_and(|first| first.url.scheme() != next.url.scheme())
            {
                let message = format!("`{label}` has another scheme than the first of `urls`");
                let hint = "use `https` for all of them: a failure must not take secrets to a connection without TLS";
                self.wrong(at, &key, message, Some(hint));
            }
            urls.push(next);
        }
        is_whole.then_some(urls)
    }

    fn url(&mut self, at: &[&str], text: &str) -> Option<OtherUrl> {
        let label = self.written(at).to_owned();
        match check_url(text) {
            Ok(url) => Some(OtherUrl { url, label }),
            Err(reason) => {
                let message = format!("`{label}` is no endpoint: {reason}");
                self.wrong(at, &[], message, None);
                None
            }
        }
    }

    fn unix_socket(&mut self, at: &[&str], path: &str, yaml: &EndpointYaml) -> Option<UnixSocket> {
        for (key, is_set) in [
            ("urls", yaml.urls.is_some()),
            (
                "proxy",
                yaml.proxy.as_deref().is_some_and(|proxy| proxy != "none"),
            ),
        ] {
            if is_set {
                let message = format!("`unix-socket` excludes `{key}`");
                self.wrong(at, &["unix-socket"], message, None);
            }
        }
        if path.is_empty() {
            let message = "`unix-socket` is empty".to_owned();
            self.wrong(at, &["unix-socket"], message, None);
            return None;
        }
        Some(UnixSocket {
            path: relative(&self.folder, path),
            label: self.written(&[at, &["unix-socket"]].concat()).to_owned(),
        })
    }

    fn proxy(
        &mut self,
        at: &[&str],
        text: Option<&str>,
        settings: &EndpointSettings,
    ) -> Option<ProxyRule> {
        match text {
            Some("none") => Some(ProxyRule::Direct),
            Some(text) => {
                let written = self.written(&[at, &["proxy"]].concat());
                match Proxy::parse(text, written) {
                    Ok(proxy) => Some(ProxyRule::Written(proxy)),
                    Err(reason) => {
                        let message = format!("`proxy` names no proxy: {reason}");
                        let hint = "write `http://host:port`, with `user:password@` where it is needed, or `none`";
                        self.wrong(at, &["proxy"], message, Some(hint));
                        None
                    }
                }
            }
            None => {
                let rule = ProxyRule::Environment(self.environment.clone());
                let urls: Vec<&Url> = std::iter::once(&settings.url)
                    .chain(settings.others.iter().map(|other| &other.url))
                    .collect();
                let wrong = urls.into_iter().find_map(|url| rule.before(url).err());
                if let Some(error) = wrong {
                    let hint = "correct it, or write `proxy: none` for this endpoint";
                    self.wrong(at, &[], error.to_string(), Some(hint));
                    return None;
                }
                Some(rule)
            }
        }
    }
}
