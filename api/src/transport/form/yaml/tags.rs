//! Tags that stand for more than data: a safe reader of YAML refuses them (subclouds.md §1.4).

/// The tags that stand for plain data.
const DATA_TAGS: [&str; 12] =
    ["binary", "bool", "float", "int", "map", "null", "omap", "pairs", "seq", "set", "str", "timestamp"];
/// What the short form `!!` of a tag stands for.
const DATA_TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// The document with every tag that stands for more than data, such as `!!python/object`, made one that the parser
/// refuses; `None` if nothing looks like one. The parser itself takes any tag of the core namespace, and does not tell it.
/// In a text or a comment the change means nothing, and no byte moves: what is refused is refused on its own line.
pub fn refused(text: &str) -> Option<String> {
    let mut bytes = text.as_bytes().to_owned();
    let mut put = |at: usize, with: u8| {
        if let Some(byte) = bytes.get_mut(at) {
            *byte = with;
        }
    };
    for (at, _) in text.match_indices('!') {
        let tag = text.get(at + 1..).unwrap_or_default();
        if let Some(name) = tag.strip_prefix('!') {
            if !is_data_tag(name, ends_tag) {
                // A tag of the document's own: `!x…`.
                put(at + 1, b'x');
            }
        } else if let Some(uri) = tag.strip_prefix('<')
            && uri.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '%')
            && uri.strip_prefix(DATA_TAG_PREFIX).is_none_or(|name| !is_data_tag(name, |c| c == '>'))
        {
            // The same, written out: `!<!…>`.
            put(at + 2, b'!');
        }
    }
    // A tag may also hide behind a handle of the document's own: this directive is then one that nobody knows.
    for (at, directive) in text.match_indices("%TAG") {
        if text
            .get(..at)
            .is_some_and(|before| before.is_empty() || before.ends_with(['\n', '\r', '\u{feff}']))
        {
            put(at + directive.len() - 1, b'?');
        }
    }
    String::from_utf8(bytes).ok().filter(|strict| strict != text)
}

/// Whether `text` begins with the name of a tag that stands for plain data, and that ends there.
fn is_data_tag(text: &str, is_end: impl Fn(char) -> bool) -> bool {
    let ends = |after: &str| after.is_empty() || after.starts_with(&is_end);
    DATA_TAGS.iter().any(|name| text.strip_prefix(name).is_some_and(ends))
}

fn ends_tag(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{YamlProblem, mapping};

    fn read(text: &str) -> Result<Value, YamlProblem> {
        mapping(text.as_bytes()).map(Value::Object)
    }

    #[test]
    fn tags_that_stand_for_more_than_data_are_refused_on_their_line() {
        for (document, line) in [
            ("a: 1\nb: !!python/object/apply:os.system [id]\n", 1),
            ("a: !!python/name:os.system x\n", 0),
            ("a: 1\nb:\n  - !!python/object:x.Y {c: d}\n", 2),
            ("!!python/dict {a: 1}\n", 0),
            ("a: !!strange x\n", 0),
            ("a: !<tag:yaml.org,2002:python/none> ''\n", 0),
            ("a: !<%74ag:yaml.org,2002:python/none> ''\n", 0),
            ("a: !vault x\n", 0),
            ("%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!none ''\n", 0),
        ] {
            assert_eq!(read(document), Err(YamlProblem::Line(line)), "{document}");
        }
        let document =
            "a: !!str 1\nb: !!int '2'\nc: !<tag:yaml.org,2002:str> 3\nd: !!seq [x]\ne: !!map {f: g}\n";
        let expected = json!({"a": "1", "b": 2, "c": "3", "d": ["x"], "e": {"f": "g"}});
        assert_eq!(read(document), Ok(expected));
        // In texts and comments they are what they are.
        let document = "a: Li69nux!!python/x # !!python/none\nb: \"!!python/x !<\"\nc: 'x!<'\nd: |\n  !!python/x\n\
                        \"%TAG\": wow!!\ne: wow!<\nf: \"x\n\n%TAG y\"\n";
        let expected = json!({"a": "Li69nux!!python/x", "b": "!!python/x !<", "c": "x!<", "d": "!!python/x\n",
            "%TAG": "wow!!", "e": "wow!<", "f": "x\n%TAG y"});
        assert_eq!(read(document), Ok(expected));
    }
}
