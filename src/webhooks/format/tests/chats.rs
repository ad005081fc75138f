//! The rules by which chats show messages. What clients choose must arrive as text.

use serde_json::Value;

use super::events::{json, push, rendered};
use crate::events::Event;
use crate::webhooks::settings::Format;

/// Name that would mention everybody, link, format, or begin a line in one of the chats.
const NAME: &str = "<!channel> @everyone *bold* [x](https://evil.example) <@1> `c` &amp; :tada: {{{DATE(2017-02-14T06:00:00Z)}}\n# big\u{202e}";

fn hostile() -> Event {
    let mut event = push();
    event.actor.name = Some(NAME.to_owned());
    event
}

/// Slack (api.slack.com, "Formatting text for app surfaces"): `&`, `<` and `>` are escaped as entities, and `<` begins a mention or a link.
#[test]
fn slack_shows_text_as_it_is() {
    let body = json(&rendered(Format::Slack, &hostile()));
    let text = body["text"].as_str().unwrap();
    assert!(!text.contains(['<', '>']), "{text}");
    let entities = ["&amp;", "&lt;", "&gt;"];
    let rest = entities
        .iter()
        .fold(text.to_owned(), |text, entity| text.replace(entity, ""));
    assert!(!rest.contains('&'), "{rest}");
    assert_eq!(body["mrkdwn"], false);
    is_one_line(text);
}

/// Discord (docs.discord.com, "Execute Webhook"; support.discord.com, "Markdown Text 101"): a backslash before a character of Markdown makes it text, and nobody
/// is mentioned if `parse` is empty. 2000 characters at most.
#[test]
fn discord_shows_text_as_it_is() {
    let body = json(&rendered(Format::Discord, &hostile()));
    let content = body["content"].as_str().unwrap();
    let mut characters = content.chars();
    while let Some(c) = characters.next() {
        if c == '\\' {
            characters.next();
        } else {
            assert!(!"*_~`|<>#[]()@:".contains(c), "{c} in {content}");
        }
    }
    assert_eq!(body["allowed_mentions"]["parse"], Value::Array(Vec::new()));
    is_one_line(content);
    let mut long = push();
    long.actor.name = Some("_é".repeat(3000));
    let body = json(&rendered(Format::Discord, &long));
    assert_eq!(body["content"].as_str().unwrap().chars().count(), 2000);
}

/// Teams (learn.microsoft.com, "Create and send messages", "Text run", "Text features"): an attachment with a card, which
/// workflows demand; Markdown counts in a `TextBlock` and in no `TextRun`, and `{{DATE(…)}}` in either.
#[test]
fn teams_shows_text_as_it_is() {
    let body = json(&rendered(Format::Teams, &hostile()));
    let attachment = &body["attachments"][0];
    assert_eq!(body["type"], "message");
    assert_eq!(
        attachment["contentType"],
        "application/vnd.microsoft.card.adaptive"
    );
    let card = &attachment["content"];
    assert_eq!(
        (&card["type"], &card["version"]),
        (&"AdaptiveCard".into(), &"1.2".into())
    );
    let block = &card["body"][0];
    assert_eq!(block["type"], "RichTextBlock");
    assert_eq!(block["inlines"][0]["type"], "TextRun");
    let text = block["inlines"][0]["text"].as_str().unwrap();
    assert!(!text.contains("{{"), "{text}");
    is_one_line(text);
}

#[test]
fn a_sentence_says_what_happened_in_words() {
    let text = rendered(Format::Text, &push());
    assert_eq!(
        String::from_utf8_lossy(&text.body),
        "registry.example.com:5443/team/app:v1.2 pushed by alice: sha256:6f3029b24adc, before sha256:28f8e7195f75\n"
    );
    let text = rendered(Format::Text, &hostile());
    is_one_line(
        std::str::from_utf8(&text.body)
            .unwrap()
            .trim_end_matches('\n'),
    );
}

fn is_one_line(text: &str) {
    assert!(!text.contains(crate::escape::is_hidden), "{text:?}");
}
