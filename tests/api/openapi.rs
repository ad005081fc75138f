//! `docs/openapi.json`, made of the table of endpoints, `docs/api.md` and `docs/json.md`; answers fit it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::cli::json::documented;
use crate::login::every_route::table;
use crate::support::Server;
use crate::support::client::Response;

fn page(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name)
}

/// A row of the routes in `docs/api.md`.
struct Route {
    method: String,
    path: String,
    /// Heading in `docs/json.md`; empty for none.
    object: String,
    right: String,
    parameters: Vec<String>,
}

/// Returns the texts in backquotes.
fn quoted(cell: &str) -> Vec<String> {
    let quoted = Regex::new("`([^`]+)`").expect("a pattern");
    let found = quoted.captures_iter(cell).map(|found| found[1].to_owned());
    found.collect()
}

fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        row.trim_matches('|')
            .split(" |")
            .map(str::trim)
            .map(|cell| cell.trim_start_matches("| "))
            .collect()
    })
    .collect()
}

fn routes(text: &str) -> Vec<Route> {
    let routes = rows(text)
        .into_iter()
        .filter(|row| row[0].contains("/api/v1/"));
    let route = |row: Vec<&str>| {
        let place = quoted(row[0]).remove(0);
        let (method, path) = place.split_once(' ').expect("a method");
        Route {
            method: method.to_owned(),
            path: path.to_owned(),
            object: quoted(row[1]).into_iter().next().unwrap_or_default(),
            right: row[2].to_owned(),
            parameters: quoted(row[3]),
        }
    };
    routes.map(route).collect()
}

/// Meaning of each parameter.
fn meanings(text: &str) -> BTreeMap<String, String> {
    let mut meanings = BTreeMap::new();
    for row in rows(text).into_iter().filter(|row| row.len() == 2) {
        for name in quoted(row[0]) {
            meanings.insert(name, row[1].replace('`', ""));
        }
    }
    meanings
}

fn parameter(name: &str, place: &str, meanings: &BTreeMap<String, String>) -> Value {
    let schema = match name {
        "n" => json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
        "days" => json!({ "type": "integer", "minimum": 1, "maximum": 366, "default": 30 }),
        "sort" => json!({ "enum": ["name", "size", "pushed", "pulled"] }),
        "since" | "at" => json!({ "type": "string", "format": "date-time" }),
        "all" | "failed" | "removed" => json!({ "type": "boolean" }),
        _ => json!({ "type": "string" }),
    };
    let mut described =
        json!({ "name": name, "in": place, "required": place == "path", "schema": schema });
    match (place, meanings.get(name)) {
        ("path", _) => {}
        (_, meaning) => {
            let meaning = meaning.unwrap_or_else(|| panic!("docs/api.md does not explain {name}"));
            described["description"] = json!(meaning);
        }
    }
    described
}

/// Schema of a documented type; that of an object is made of its members.
fn schema(kind: &str, members: Value) -> Value {
    if let Some(kind) = kind.strip_suffix(" or null") {
        return json!({ "anyOf": [schema(kind, members), { "type": "null" }] });
    }
    match kind {
        "text" => json!({ "type": "string" }),
        "number" => json!({ "type": "integer", "minimum": 0 }),
        "bool" => json!({ "type": "boolean" }),
        "time" => json!({ "type": "string", "format": "date-time" }),
        "who" => json!({ "$ref": "#/components/schemas/Who" }),
        "raw" => json!({}),
        "list of raw" => json!({ "type": "array" }),
        "list of text" => json!({ "type": "array", "items": { "type": "string" } }),
        "object" => members,
        "list of objects" => json!({ "type": "array", "items": members }),
        other => panic!("unknown type {other}"),
    }
}

/// Schema of the object below a place.
fn object(types: &BTreeMap<String, String>, below: &str) -> Value {
    let mut properties = Map::new();
    for (key, kind) in types {
        let Some(name) = key
            .strip_prefix(below)
            .filter(|name| !name.contains(['.', '[']))
        else {
            continue;
        };
        let inner = if kind.starts_with("list") {
            format!("{key}[].")
        } else {
            format!("{key}.")
        };
        let members = match kind.contains("object") {
            true => object(types, &inner),
            false => Value::Null,
        };
        properties.insert(name.to_owned(), schema(kind, members));
    }
    let required: Vec<_> = properties.keys().cloned().collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn name_of(heading: &str) -> String {
    let words = heading.trim_start_matches("registry ").replace("--", "");
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..].to_lowercase();
    words.split_whitespace().map(capital).collect()
}

fn operation(route: &Route, meanings: &BTreeMap<String, String>) -> Value {
    let in_path = Regex::new(r"\{(\w+)\}").expect("a pattern");
    let named = in_path
        .captures_iter(&route.path)
        .map(|found| parameter(&found[1], "path", meanings));
    let asked = route
        .parameters
        .iter()
        .map(|name| parameter(name, "query", meanings));
    let content = match &*route.object {
        "" => json!({}),
        heading => json!({ "$ref": format!("#/components/schemas/{}", name_of(heading)) }),
    };
    let answer = json!({ "description": "The object", "content": { "application/json": { "schema": content } } });
    let summary = match &*route.object {
        "" => "This document".to_owned(),
        heading => format!("The object of {heading}"),
    };
    let mut operation = json!({
        "operationId": identity(route),
        "summary": summary,
        "description": format!("Right: {}", route.right),
        "parameters": named.chain(asked).collect::<Vec<_>>(),
        "responses": { "200": answer, "default": { "$ref": "#/components/responses/Error" } },
    });
    if route.right == "none" {
        operation["security"] = json!([]);
    } else if route.method == "GET" {
        operation["responses"]["304"] =
            json!({ "description": "The client has it already (If-None-Match)" });
    }
    if let Some(body) = body(route) {
        operation["requestBody"] = body;
    }
    operation
}

/// Name of an operation for generators of clients.
fn identity(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/v1/");
    let words = path
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let words = words.map(|word| word[..1].to_uppercase() + &word[1..]);
    route.method.to_lowercase() + &words.collect::<String>()
}

/// Body of a request; `None` for those without one.
fn body(route: &Route) -> Option<Value> {
    let (text, texts) = (
        json!({ "type": "string" }),
        json!({ "type": "array", "items": { "type": "string" } }),
    );
    let schema = match &*route.object {
        "registry token create" => json!({
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": { "name": text, "repositories": texts, "may": texts, "user": text, "expires": text },
        }),
        "registry policy preview" if route.method == "POST" => json!({
            "type": "object", "required": ["rules"], "additionalProperties": false, "properties": { "rules": text },
        }),
        "registry tag" | "registry upstream keep" => json!({
            "type": "object", "required": ["source"], "additionalProperties": false, "properties": { "source": text },
        }),
        "registry token rotate" => json!({
            "type": "object", "additionalProperties": false, "properties": { "overlap": text, "expires": text },
        }),
        _ => return None,
    };
    Some(json!({ "required": true, "content": { "application/json": { "schema": schema } } }))
}

fn document() -> Value {
    let text = std::fs::read_to_string(page("api.md")).expect("a page");
    let (objects, meanings) = (documented(), meanings(&text));
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for route in routes(&text) {
        if !route.object.is_empty() {
            let types = objects
                .get(&route.object)
                .unwrap_or_else(|| panic!("{} is not in docs/json.md", route.object));
            schemas.insert(name_of(&route.object), object(types, ""));
        }
        let path = route.path.trim_start_matches("/api/v1").to_owned();
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        operations[route.method.to_lowercase()] = operation(&route, &meanings);
    }
    let text = json!({ "type": ["string", "null"] });
    schemas.insert("Who".to_owned(), json!({
        "type": "object", "properties": { "name": text, "address": text }, "required": ["name", "address"],
    }));
    schemas.insert("Errors".to_owned(), json!({
        "type": "object", "required": ["errors"],
        "properties": { "errors": { "type": "array", "items": {
            "type": "object", "required": ["code", "message"],
            "properties": { "code": { "type": "string" }, "message": { "type": "string" }, "detail": {} },
        } } },
    }));
    json!({
        "openapi": "3.1.0",
        "info": { "title": "tarkeep", "version": "1", "description": "What the registry holds, as its commands print it with --output json. A list that goes on has a Link with rel=\"next\"." },
        "servers": [{ "url": "../v1" }],
        "security": [{ "basic": [] }, { "bearer": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": { "Error": { "description": "An error", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Errors" } } } } },
            "securitySchemes": { "basic": { "type": "http", "scheme": "basic" }, "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

/// `UPDATE=1` writes it.
#[test]
fn the_document_is_made_of_the_routes_and_of_their_objects() {
    let made = format!("{:#}\n", document());
    let path = page("openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let written = std::fs::read_to_string(&path).expect("a document");
    assert!(
        written == made,
        "docs/openapi.json is not what the routes are: UPDATE=1 cargo test --test integration openapi"
    );
}

#[test]
fn every_route_of_the_server_is_documented() {
    let text = std::fs::read_to_string(page("api.md")).expect("a page");
    let mut documented: Vec<_> = routes(&text)
        .into_iter()
        .map(|route| (route.method, route.path))
        .collect();
    documented.sort();
    let served: Vec<_> = table()
        .into_iter()
        .filter(|(_, path)| path.starts_with("/api/"))
        .collect();
    assert_eq!(documented, served);
}

/// Checks a value against a schema of the document, as far as it uses them.
fn fits(value: &Value, schema: &Value, document: &Value) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let place = name.trim_start_matches('#');
        return fits(
            value,
            document.pointer(place).ok_or("a dangling reference")?,
            document,
        );
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let mut tried = any.iter().map(|schema| fits(value, schema, document));
        return match tried.any(|tried| tried.is_ok()) {
            true => Ok(()),
            false => Err(format!("{value} fits none of {schema}")),
        };
    }
    let is_of = |kind: &str| match kind {
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_null(),
    };
    let is_right = match &schema["type"] {
        Value::Null => true,
        Value::String(kind) => is_of(kind),
        kinds => kinds
            .as_array()
            .is_some_and(|kinds| kinds.iter().filter_map(Value::as_str).any(is_of)),
    };
    if !is_right {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(item, &schema["items"], document)?;
    }
    for key in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        value
            .get(key)
            .ok_or_else(|| format!("{key} is missing in {value}"))?;
    }
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        fits(&value[key], schema, document).map_err(|error| format!("{key}: {error}"))?;
    }
    Ok(())
}

/// Checks that the server's answer to a path fits what it says of the route.
pub fn check(server: &Server, template: &str, path: &str) {
    let answer = server.client().get(path);
    check_answer(server, ("get", template), &answer);
}

/// Checks that an answer fits what the server says of the route.
pub fn check_answer(server: &Server, (method, template): (&str, &str), answer: &Response) {
    let document = server.client().get("/api/v1/openapi.json").json();
    let operation = &document["paths"][template][method];
    assert!(
        operation.is_object(),
        "{method} {template} is not in the document"
    );
    let content = match answer.status {
        200 => &operation["responses"]["200"],
        _ => &document["components"]["responses"]["Error"],
    };
    let schema = &content["content"]["application/json"]["schema"];
    let fitting = fits(&answer.json(), schema, &document);
    assert_eq!(fitting, Ok(()), "{method} {template}");
}
