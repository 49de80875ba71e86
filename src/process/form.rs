//! Values as text for programs: JSON and YAML.

use serde::Serialize;

/// A value as JSON, on lines of its own.
///
/// # Errors
/// It has what JSON has not.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// A value as a document of YAML.
///
/// # Errors
/// It has what YAML has not.
pub(crate) fn yaml(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(value)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_end_with_their_line() {
        let value = json!({"a": [1]});
        assert_eq!(json(&value).unwrap(), "{\n  \"a\": [\n    1\n  ]\n}\n");
        assert_eq!(yaml(&value).unwrap(), "a:\n- 1\n");
    }
}
