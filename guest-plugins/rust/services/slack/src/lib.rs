//! Slack incoming webhooks: a message a record, by templates.
//!
//! The rules: [sending messages](https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/), with its
//! "Handling errors", [the words of errors](https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks),
//! [escaping text](https://docs.slack.dev/messaging/formatting-message-text/#escaping), and
//! [rate limits](https://docs.slack.dev/apis/web-api/rate-limits/): a message a second, and 429 with a `Retry-After`
//! beyond, which the host keeps. The hook's URL is a secret: it stands in the endpoint's `url`.

mod errors;

use errors::{Fault, fault};
use nozzle_plugin::{
    Batch, Call, Event, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict,
    export_sink, log,
};
use plugin_kit::of_a_page;
use serde::Deserialize;
use serde_json::{Map, Value};
use template_text::{Template, Tree};

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// A template: the message, or what notifications show where there are `blocks`.
    text: String,
    /// Block Kit, with templates in its strings.
    blocks: Option<Value>,
    /// Further members of the message, such as `unfurl_links`, with templates in their strings.
    fields: Map<String, Value>,
    /// Whether `&`, `<` and `>` in values are written so that they mean nothing to Slack.
    escape: bool,
    dead_hook: DeadHook,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            text: "{data}".to_owned(),
            blocks: None,
            fields: Map::new(),
            escape: true,
            dead_hook: DeadHook::Reject,
        }
    }
}

/// What becomes of messages when the hook or its channel is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DeadHook {
    /// They are dead-lettered, with Slack's word for it.
    Reject,
    /// The sink's status policy decides: `status: { 403: halt, 404: halt, 410: halt }` stops the sink.
    ByStatus,
}

struct Slack {
    text: Template,
    members: Vec<(String, Tree)>,
    escape: bool,
    dead_hook: DeadHook,
}

impl Plugin for Slack {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let mut fields = config.fields;
        for name in ["text", "blocks"] {
            if fields.contains_key(name) {
                return Err(format!("`{name}` is a setting of its own, beside `fields`"));
            }
        }
        if let Some(blocks) = config.blocks {
            if !blocks.is_array() {
                return Err("`blocks` is no list".to_owned());
            }
            fields.insert("blocks".to_owned(), blocks);
        }
        let member = |(name, value): (String, Value)| {
            let tree = Tree::parse(&value).map_err(|error| format!("`{name}`: {error}"))?;
            Ok((name, tree))
        };
        Ok(Self {
            text: Template::parse(&config.text).map_err(|error| format!("`text`: {error}"))?,
            members: fields
                .into_iter()
                .map(member)
                .collect::<Result<_, String>>()?,
            escape: config.escape,
            dead_hook: config.dead_hook,
        })
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/json");
        shaped.each(batch, |event| {
            Ok(Request::post("").body(self.message(event)?.to_string()))
        });
        Ok(shaped)
    }
}

impl Slack {
    fn message(&self, event: &Event<'_>) -> Result<Value, String> {
        let mut message = Map::new();
        let text = self
            .text
            .render_with(event, |out, value| self.write(out, value, "text"))?;
        if text.trim().is_empty() && self.members.iter().all(|(name, _)| name != "blocks") {
            return Err("the message has no text".to_owned());
        }
        message.insert("text".to_owned(), Value::String(text));
        for (name, tree) in &self.members {
            let value =
                tree.render_with(event, &|out, value, name| self.write(out, value, name))?;
            message.insert(name.clone(), value);
        }
        Ok(Value::Object(message))
    }

    /// A record must not call a channel together (`<!channel>`), or make links: it is text. In a URL nothing is escaped.
    fn write(&self, out: &mut String, value: &str, name: &str) {
        if !self.escape || name.ends_with("url") {
            out.push_str(value);
            return;
        }
        for character in value.chars() {
            match character {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                other => out.push(other),
            }
        }
    }

    fn judge(&self, response: &Response) -> Verdict {
        match fault(response) {
            None => Verdict::ByStatus,
            Some(Fault::Hook(_)) if self.dead_hook == DeadHook::ByStatus => Verdict::ByStatus,
            Some(Fault::Hook(reason) | Fault::Message(reason)) => Verdict::Reject(reason),
        }
    }
}

impl Handle for Slack {
    fn handle(&self, _: &Call, outcome: Result<Response, Failure>) -> Handled {
        let Ok(response) = outcome else {
            return Verdict::ByStatus.into();
        };
        if let Some(handled) = of_a_page(&response) {
            return handled;
        }
        if let Some(Fault::Hook(reason)) = fault(&response) {
            log::error(
                "the hook takes no messages any more",
                &[("reason", &reason)],
            );
        }
        self.judge(&response).into()
    }
}

export_sink!(Slack);

#[cfg(test)]
mod tests;
