//! Slack's words for what is wrong, which stand in the body.

use nozzle_plugin::Response;

/// Who is at fault, with a reason for the dead letter.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// This message: others may pass.
    Message(String),
    /// The hook, its channel or its workspace: no message passes.
    Hook(String),
}

/// The fault of a 4xx; none where the status policy knows what to do.
pub fn fault(response: &Response) -> Option<Fault> {
    if !matches!(response.status, 400..=499) || matches!(response.status, 408 | 413 | 425 | 429) {
        return None;
    }
    let body = response.excerpt();
    let word = body.split([':', ' ']).next().unwrap_or_default();
    let hook = match word {
        "action_prohibited" => "an administrator has forbidden it",
        "channel_is_archived" => "the channel is archived",
        "channel_not_found" => "the channel is gone, or hidden from the app",
        "posting_to_general_channel_denied" => "who made the hook may not post to #general",
        "no_service" | "no_service_id" | "no_active_hooks" => "the hook was removed or disabled",
        "no_team" | "team_disabled" => "the workspace is gone or disabled",
        "invalid_token" | "token_revoked" => "the hook's URL is wrong, or was revoked",
        _ => "",
    };
    if !hook.is_empty() {
        return Some(Fault::Hook(format!("{word}: {hook}")));
    }
    Some(Fault::Message(match word {
        "invalid_payload" => format!("{body} (the message is not understood)"),
        "invalid_blocks" | "invalid_blocks_format" => format!("{body} (the blocks are not right)"),
        "no_text" | "missing_text_or_fallback_or_attachments" => {
            format!("{word} (the message has no text)")
        }
        "too_many_attachments" => format!("{word} (more than 100)"),
        "user_not_found" => format!("{word} (the message names a user that is not there)"),
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::testing::response;

    use super::*;

    #[test]
    fn each_word_says_who_is_at_fault() {
        let hook = [
            (403, "action_prohibited"),
            (410, "channel_is_archived"),
            (404, "channel_not_found"),
            (403, "posting_to_general_channel_denied"),
            (404, "no_service"),
            (404, "no_service_id"),
            (404, "no_active_hooks"),
            (404, "no_team\n"),
            (403, "team_disabled"),
            (403, "invalid_token"),
        ];
        let message = [
            (400, "invalid_payload"),
            (400, "invalid_blocks: [missing required field]"),
            (400, "no_text"),
            (400, "too_many_attachments"),
            (400, "user_not_found"),
        ];
        let neither = [
            (200, "ok"),
            (429, "rate_limited"),
            (408, "no_text"),
            (500, "rollup_error"),
            (503, "no_service"),
            (400, "something new"),
            (404, "<html>"),
            (302, ""),
        ];

        for (status, body) in hook {
            assert!(
                matches!(fault(&response(status, body)), Some(Fault::Hook(_))),
                "{body}"
            );
        }
        for (status, body) in message {
            assert!(
                matches!(fault(&response(status, body)), Some(Fault::Message(_))),
                "{body}"
            );
        }
        for (status, body) in neither {
            assert_eq!(fault(&response(status, body)), None, "{status} {body}");
        }
        assert_eq!(
            fault(&response(400, "invalid_blocks: [missing required field]")),
            Some(Fault::Message(
                "invalid_blocks: [missing required field] (the blocks are not right)".to_owned()
            ))
        );
    }
}
