//! What to write in place of a value of the wrong shape: `sleep = "10ms"`, `use = "tokio"`, `probe
//! = "true"`.

use serde_json::Value as Json;

use super::{Node, Value, quote, render::without_passwords};

/// The remedy for a value that is not what `schema`, the schema of the key's value, says; nothing
/// where it is right, or nothing can be guessed.
pub fn shape_hint(key: &str, schema: &Json, node: &Node) -> Option<String> {
    let schema = plain(schema);
    match (&node.value, schema["type"].as_str()?) {
        (Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Bool(_), "object") => {
            Some(format!("write {key} = {}", table_with(schema, &node.value)?))
        }
        (Value::Array(items), "object")
            if matches!(items.as_slice(), [Node { value: Value::Table(_), .. }, ..]) =>
        {
            Some(format!(
                "`{key}` is one table: write it with single brackets, as in [{key}], or as {key} = {{ … }}"
            ))
        }
        (Value::Array(items), "object")
            if !items.is_empty() && schema["additionalProperties"].is_object() =>
        {
            Some(format!("write {key} = {{ NAME = {} }}", example(&schema["additionalProperties"])))
        }
        (Value::Array(items), "string" | "integer" | "number") if items.len() == 1 => {
            Some(format!("write {key} = {}", literal(&items[0].value)?))
        }
        (Value::Table(_), "array") => {
            Some(format!("write {key} = [{}]", example(&schema["items"])))
        }
        (value, "array") if value.is_scalar() => {
            Some(format!("write {key} = [{}]", literal(value)?))
        }
        (Value::Text(text), "boolean") if text == "true" || text == "false" => {
            Some(format!("write {key} = {text}, without quotes"))
        }
        (Value::Integer(number @ (0 | 1)), "boolean") => {
            Some(format!("write {key} = {}", *number == 1))
        }
        (Value::Text(text), "integer" | "number") if text.trim().parse::<i64>().is_ok() => {
            Some(format!("write {key} = {}, without quotes", text.trim()))
        }
        (Value::Float(number), "integer") if number.fract() == 0.0 => {
            Some(format!("write {key} = {number}"))
        }
        (Value::Integer(_) | Value::Float(_) | Value::Bool(_), "string") => {
            Some(format!("write {key} = \"{}\", in quotes", node.value))
        }
        _ => None,
    }
}

/// An inline table with all keys that must be there, and the value under the one that it is for.
pub fn table_with(schema: &Json, value: &Value) -> Option<String> {
    let properties = schema["properties"].as_object()?;
    let usual = &schema["oneOf"][0]["required"];
    let both = [&schema["required"], usual].map(|keys| keys.as_array());
    let required: Vec<&str> =
        both.into_iter().flatten().flatten().filter_map(Json::as_str).collect();
    let has = |key: &&str| properties.contains_key(*key);
    let text = if let Value::Text(text) = value { text.as_str() } else { "" };
    let is_status = matches!(value, Value::Integer(100..600));
    let by_text = [
        ("url", text.contains("://")),
        ("path", text.starts_with('/')),
        ("query", text.contains(' ')),
        ("status", is_status),
    ];
    let by_text = by_text.into_iter().find(|(key, fits)| *fits && has(key)).map(|(key, _)| key);
    let by_type =
        || required.iter().copied().find(|key| *key != "target" && fits(&properties[*key], value));
    let place = by_text.or_else(by_type);
    let keys = required.iter().copied().chain(place.filter(|key| !required.contains(key)));
    let pair = |key: &str| {
        let shown = (Some(key) == place).then(|| written(&properties[key], value)).flatten();
        format!("{key} = {}", shown.unwrap_or_else(|| example(&properties[key])))
    };
    let pairs: Vec<String> = keys.map(pair).collect();
    Some(if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) })
}

/// The schema without the parameter that may stand in place of the value.
fn plain(schema: &Json) -> &Json {
    schema["anyOf"].get(0).map_or(schema, plain)
}

/// Whether a value can be meant for a key.
fn fits(schema: &Json, value: &Value) -> bool {
    let types = &plain(schema)["type"];
    let is = |word: &str| {
        types == word || types.as_array().is_some_and(|all| all.iter().any(|one| one == word))
    };
    match value {
        Value::Text(_) => is("string"),
        Value::Integer(_) | Value::Float(_) => {
            is("integer") || is("number") || plain(schema)["examples"].is_array()
        }
        _ => false,
    }
}

/// A value as it is written under a key, with the unit of an example where it lacks one.
fn written(schema: &Json, value: &Value) -> Option<String> {
    let example = plain(schema)["examples"].get(0).and_then(Json::as_str);
    match (value, example) {
        (Value::Integer(_) | Value::Float(_), Some(example)) => Some(format!(
            "\"{value}{}\"",
            example.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
        )),
        _ => literal(value),
    }
}

/// Any value that a key can have.
fn example(schema: &Json) -> String {
    let schema = plain(schema);
    let known = schema["examples"].get(0).or_else(|| schema["enum"].get(0)).map(Json::to_string);
    known.unwrap_or_else(|| {
        let shown = match schema["type"].as_str() {
            Some("integer" | "number") => "1",
            Some("array") => "[…]",
            Some("object") => "{ … }",
            _ => "\"…\"",
        };
        shown.to_owned()
    })
}

/// A single value as TOML has it.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => {
            Some(format!("\"{}\"", quote(&without_passwords(text)).trim_matches('`')))
        }
        other => other.is_scalar().then(|| other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hint(schema: &Json, value: Value) -> Option<String> {
        shape_hint("k", schema, &Node { span: 0..0, value })
    }

    #[test]
    fn single_values_are_put_into_lists_and_tables() {
        let text = |text: &str| Value::Text(text.to_owned());
        let list = json!({ "type": "array", "items": { "type": "string" } });
        assert_eq!(hint(&list, text("tokio")).unwrap(), "write k = [\"tokio\"]");
        let table = json!({
            "type": "object", "required": ["target", "path"],
            "properties": { "target": { "type": "string" }, "path": { "type": "string" }, "n": { "type": "integer" } }
        });
        assert_eq!(
            hint(&table, text("/a")).unwrap(),
            "write k = { target = \"…\", path = \"/a\" }"
        );
        let nap = json!({
            "type": "object", "required": ["time"],
            "properties": { "time": { "anyOf": [{ "type": ["string", "integer"], "examples": ["5ms"] }, {}] } }
        });
        assert_eq!(hint(&nap, text("10ms")).unwrap(), "write k = { time = \"10ms\" }");
        assert_eq!(hint(&nap, Value::Integer(10)).unwrap(), "write k = { time = \"10ms\" }");
        let none = json!({ "type": "object", "required": [], "properties": {} });
        assert_eq!(hint(&none, Value::Bool(true)).unwrap(), "write k = {}");
    }

    #[test]
    fn quotes_are_added_and_removed() {
        assert_eq!(
            hint(&json!({ "type": "boolean" }), Value::Text("true".into())).unwrap(),
            "write k = true, without quotes"
        );
        assert_eq!(
            hint(&json!({ "type": "integer" }), Value::Text("42".into())).unwrap(),
            "write k = 42, without quotes"
        );
        assert_eq!(hint(&json!({ "type": "integer" }), Value::Float(8.0)).unwrap(), "write k = 8");
        assert_eq!(
            hint(&json!({ "type": "string" }), Value::Integer(5)).unwrap(),
            "write k = \"5\", in quotes"
        );
        assert_eq!(hint(&json!({ "type": "integer" }), Value::Text("many".into())), None);
    }
}
