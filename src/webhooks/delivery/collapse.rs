//! Telling of several moves of a tag as one. No IO.
//!
//! The first event of a repository that waits opens a period; those within it are told together, and of each tag and kind the last
//! one alone, with the digest before the first. Which ones those are follows from the events, so it needs no record but
//! what the replaced ones had.

use std::collections::HashMap;

use crate::events::{Event, EventKind};
use crate::registry::{Millis, Queue};

/// Events of a repository that are due.
pub(super) struct Due {
    /// In their order, with the digests before those that they replace.
    pub events: Vec<Event>,
    /// Digests that they have from replaced events.
    pub carried: Vec<(i64, Option<String>)>,
    /// Number of the next event, and when it is due.
    pub next: Option<(i64, Millis)>,
}

/// Returns which of a queue's events are due at `now`, each of them held back for `delay`.
pub(super) fn collapse(events: Vec<Event>, delay: Millis, queue: &Queue, now: Millis) -> Due {
    let Some(first) = events.first() else {
        return Due {
            events,
            carried: Vec::new(),
            next: None,
        };
    };
    // a clock that was set back must not hold it up for longer
    let end = first.at.min(now).saturating_add(delay);
    let was_tried = queue.attempts > 0;
    if !was_tried && end > now {
        return Due {
            next: Some((first.id, end)),
            events: Vec::new(),
            carried: Vec::new(),
        };
    }
    let mut events = events;
    let later = events.iter().position(|event| event.at >= end);
    let later = later.map_or(Vec::new(), |place| events.split_off(place.max(1)));
    let next = later
        .first()
        .map(|event| (event.id, event.at.min(now).saturating_add(delay)));
    let last: HashMap<_, _> = events
        .iter()
        .filter_map(|event| Some((key(event)?, event.id)))
        .collect();
    let (mut former, mut carried, mut due) = (HashMap::new(), Vec::new(), Vec::new());
    for (place, mut event) in events.into_iter().enumerate() {
        let known = queue.carried.iter().find(|(id, _)| *id == event.id);
        let known = known.map(|(_, former)| former.clone());
        let is_tried = place == 0 && was_tried;
        let Some(key) = key(&event).filter(|_| !is_tried) else {
            if let Some(known) = known {
                event.former.clone_from(&known);
                carried.push((event.id, known));
            }
            due.push(event);
            continue;
        };
        let before = known.unwrap_or_else(|| event.former.clone());
        if last.get(&key) != Some(&event.id) {
            former.entry(key).or_insert(before);
            continue;
        }
        if let Some(first) = former.remove(&key) {
            event.former.clone_from(&first);
            carried.push((event.id, first));
        } else if before != event.former {
            event.former.clone_from(&before);
            carried.push((event.id, before));
        }
        due.push(event);
    }
    Due {
        events: due,
        carried,
        next,
    }
}

/// Tag and kind of an event that another one can replace.
fn key(event: &Event) -> Option<(String, &'static str)> {
    let kind: EventKind = event.kind;
    Some((event.tag.clone()?, kind.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventActor;

    fn event(id: i64, at: Millis, tag: &str) -> Event {
        Event {
            id,
            uuid: String::new(),
            at,
            kind: EventKind::TagMoved,
            repository: Some("app".to_owned()),
            tag: Some(tag.to_owned()),
            target: None,
            former: Some(format!("before-{id}")),
            from_repository: None,
            references: Vec::new(),
            actor: EventActor::default(),
            request: None,
            detail: None,
        }
    }

    fn told(events: Vec<Event>, queue: &Queue, now: Millis) -> (String, Due) {
        let due = collapse(events, 100, queue, now);
        let shown = due.events.iter();
        let shown = shown.map(|event| {
            let former = event.former.as_deref().unwrap_or_default();
            format!("{} {former}", event.id)
        });
        (Vec::from_iter(shown).join(", "), due)
    }

    fn queue(attempts: u32, carried: Vec<(i64, Option<String>)>) -> Queue {
        Queue {
            repository: "app".to_owned(),
            next: 1,
            due_at: 0,
            attempts,
            waited: 0,
            carried,
        }
    }

    #[test]
    fn the_last_event_of_a_tag_is_told_with_the_digest_before_the_first() {
        let all = || {
            vec![
                event(1, 0, "a"),
                event(2, 5, "b"),
                event(3, 50, "a"),
                event(4, 110, "a"),
            ]
        };
        let fresh = queue(0, Vec::new());
        let (shown, due) = told(all(), &fresh, 99);
        assert_eq!((&*shown, due.next), ("", Some((1, 100))));
        let (shown, due) = told(all(), &fresh, 105);
        assert_eq!(
            (&*shown, due.next),
            ("2 before-2, 3 before-1", Some((4, 205)))
        );
        // the second one failed: what is left has the same id and the same digest
        let carried = queue(1, due.carried);
        let (shown, _) = told(all()[1..].to_vec(), &carried, 300);
        assert_eq!(shown, "2 before-2, 3 before-1");
        let (shown, _) = told(all()[2..].to_vec(), &carried, 300);
        assert_eq!(
            shown, "3 before-1, 4 before-4",
            "one that was tried is not replaced"
        );
    }
}
