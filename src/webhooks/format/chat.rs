//! Messages of chats. Names and details come from clients: none of them may format, link or mention.

use serde_json::json;

use super::sentence;
use super::source::Source;
use crate::events::Event;

/// Maximum length of a message of Discord, in characters.
const DISCORD_LONGEST: usize = 2000;
/// Flag of Discord for a message without previews of links.
const DISCORD_SUPPRESS_EMBEDS: u32 = 1 << 2;

/// Message of Slack's incoming webhooks: text in which three characters are escaped, and no markup counts.
pub(super) fn slack(event: &Event, source: &Source) -> String {
    let text = sentence::of(event, source)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    json!({ "text": text, "mrkdwn": false, "unfurl_links": false }).to_string()
}

/// Message of Discord's webhooks: Markdown, whose characters are escaped, and which mentions nobody.
pub(super) fn discord(event: &Event, source: &Source) -> String {
    let mut content = String::new();
    for c in sentence::of(event, source).chars() {
        let escaped = [Some('\\').filter(|_| is_markdown(c)), Some(c)];
        content.extend(escaped.into_iter().flatten());
    }
    if let Some((end, _)) = content.char_indices().nth(DISCORD_LONGEST) {
        content.truncate(end);
    }
    let message = json!({
        "content": content,
        "allowed_mentions": { "parse": [] },
        "flags": DISCORD_SUPPRESS_EMBEDS,
    });
    message.to_string()
}

/// True for characters that Discord's Markdown takes for more than text. A colon begins an emoji or a link.
fn is_markdown(c: char) -> bool {
    matches!(
        c,
        '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '#' | '[' | ']' | '(' | ')' | '@' | ':'
    )
}

/// Message of Teams' workflows: a card with a block that is shown as it is, unlike a `TextBlock`, which is Markdown.
///
/// Two braces begin a function of cards, such as `{{DATE(…)}}`, in any text.
pub(super) fn teams(event: &Event, source: &Source) -> String {
    let mut text = sentence::of(event, source);
    while text.contains("{{") {
        text = text.replace("{{", "{ {");
    }
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [{ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": text }] }],
    });
    let message = json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    });
    message.to_string()
}
