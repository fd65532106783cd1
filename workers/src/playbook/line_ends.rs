//! Reading over line ends that a program put into a secret: programs wrap long lines inside a word, or in place of a
//! blank, and indent what follows.

/// How a line end is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    /// As it is.
    Literal,
    /// As nothing, with the blanks around it and the backslashes of a folded YAML string.
    Nothing,
    /// As one blank, with the blanks around it.
    Blank,
}

impl Joint {
    pub(super) const ALL: [Self; 3] = [Self::Literal, Self::Nothing, Self::Blank];
}

/// Text with its line ends read in one way, and where each byte comes from.
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    origin: Vec<usize>,
}

impl View {
    pub(super) fn of(text: &[u8], joint: Joint) -> Self {
        if joint == Joint::Literal {
            return Self { bytes: text.to_vec(), origin: (0..text.len()).collect() };
        }
        let mut view = Self { bytes: Vec::with_capacity(text.len()), origin: Vec::with_capacity(text.len()) };
        let mut index = 0;
        while index < text.len() {
            let blanks_end = skip_blanks(text, index);
            match end_of_break(text, blanks_end, joint) {
                Some(end) => {
                    if joint == Joint::Blank {
                        view.push(b' ', index);
                    }
                    index = end;
                    // An empty line ends a paragraph: it is not read over.
                    while let Some(byte @ (b'\n' | b'\r')) = text.get(index) {
                        view.push(*byte, index);
                        index += 1;
                    }
                }
                None => {
                    let end = blanks_end.max(index + 1);
                    for (offset, byte) in text.iter().enumerate().take(end).skip(index) {
                        view.push(*byte, offset);
                    }
                    index = end;
                }
            }
        }
        view
    }

    fn push(&mut self, byte: u8, origin: usize) {
        self.bytes.push(byte);
        self.origin.push(origin);
    }

    /// Where in the text the byte at `index` comes from.
    pub(super) fn origin_of(&self, index: usize) -> Option<usize> {
        self.origin.get(index).copied()
    }

    /// True if no letter or digit touches `start..end`; `before` stands before the text.
    pub(super) fn is_word(&self, start: usize, end: usize, before: Option<u8>) -> bool {
        let previous = match start.checked_sub(1) {
            Some(index) => self.bytes.get(index).copied(),
            None => before,
        };
        let next = self.bytes.get(end).copied();
        !previous.is_some_and(is_word_byte) && !next.is_some_and(is_word_byte)
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// If a line end is at `at`: the index after it and the blanks behind it.
fn end_of_break(text: &[u8], at: usize, joint: Joint) -> Option<usize> {
    let folds = joint == Joint::Nothing;
    let mut at = at;
    if folds && text.get(at) == Some(&b'\\') && matches!(text.get(at + 1), Some(b'\n' | b'\r')) {
        at += 1;
    }
    if text.get(at) == Some(&b'\r') {
        at += 1;
    }
    if text.get(at) != Some(&b'\n') {
        return None;
    }
    let next = skip_blanks(text, at + 1);
    let escaped_blank = folds && text.get(next) == Some(&b'\\') && text.get(next + 1) == Some(&b' ');
    Some(if escaped_blank { next + 1 } else { next })
}

fn skip_blanks(text: &[u8], from: usize) -> usize {
    from + text.iter().skip(from).take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}
