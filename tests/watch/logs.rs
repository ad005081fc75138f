//! The log on standard error, in its three shapes.

use serde_json::Value;

use super::Watched;

fn objects(formatter: &str) -> Vec<Value> {
    let environment = [
        ("REGISTRY_LOG_FORMATTER", formatter),
        ("REGISTRY_LOG_FIELDS", "{service: registry, zone: 3}"),
        ("REGISTRY_LOG_REPORTCALLER", "true"),
    ];
    let mut server = Watched::start(&environment);
    server.stop();
    server.err().iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn json_is_one_object_a_line() {
    let lines = objects("json");
    assert!(lines.len() > 1);
    for line in &lines {
        assert!(["info", "warning"].contains(&line["level"].as_str().expect("a level")), "{line}");
        assert!(line["msg"].is_string() && line["time"].is_string(), "{line}");
        assert!(line["file"].as_str().is_some_and(|place| place.contains(".rs:")), "{line}");
        assert_eq!((line["service"].as_str(), line["zone"].as_u64()), (Some("registry"), Some(3)), "{line}");
    }
    assert!(lines.iter().any(|line| line["signal"] == "SIGTERM"));
}

#[test]
fn logstash_has_its_own_names() {
    for line in objects("logstash") {
        assert_eq!(line["@version"], "1", "{line}");
        assert!(line["@timestamp"].is_string() && line["message"].is_string() && line.get("msg").is_none(), "{line}");
    }
}

#[test]
fn text_is_for_people_and_only_as_much_as_is_asked_for() {
    let mut server = Watched::start(&[("REGISTRY_LOG_FIELDS", "{service: registry}")]);
    server.stop();
    let lines = server.err();
    assert!(lines.iter().any(|line| line.contains(" INFO stopping") && line.ends_with("signal=\"SIGTERM\" service=registry")), "{lines:?}");
    let mut server = Watched::start(&[("REGISTRY_LOG_LEVEL", "error")]);
    server.stop();
    assert_eq!(server.err(), Vec::<String>::new());
}
