//! What the lines of `run --format json` tell.

use serde_json::Value;

/// The cards of the events that are wanted.
pub fn cards_of<'e>(
    events: &'e [Value],
    wanted: impl Fn(&Value) -> bool + 'e,
) -> impl Iterator<Item = &'e str> {
    events
        .iter()
        .filter(move |event| wanted(event))
        .filter_map(|event| event["card"].as_str())
}

/// Whether a build was executed and passed.
pub fn is_built(event: &Value) -> bool {
    event["event"] == "cardFinished" && event["how"] == "built"
}
