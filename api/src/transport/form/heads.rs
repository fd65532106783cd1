//! Bounds on the parts of a multipart body, and on what stands in front of their content.
//!
//! The parser keeps everything up to the end of a part's headers in memory, and looks through all of it again with each
//! piece that comes. So the body is watched on its way to the parser.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use futures::Stream;
use memchr::memmem;

/// Most bytes in front of the first boundary, of the line of a boundary, and of a part's headers.
const LONGEST_HEAD: usize = 16 * 1024;

/// Why a body is not read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbounded {
    /// The headers of a part, or what stands before them, do not end.
    #[error("the headers of a part are over the limit of {LONGEST_HEAD} bytes")]
    Head,
    /// There are too many parts.
    #[error("the form has more than {0} parts")]
    Parts(usize),
    /// The client sent no more.
    #[error("the request body could not be read")]
    Broken,
}

/// What the next bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Preamble,
    BoundaryLine,
    Headers,
    Content,
}

/// Follows a multipart body as its parser does.
struct Watch {
    boundary: String,
    place: Place,
    /// Bytes in this place so far.
    seen: usize,
    /// The last of them, which may begin what ends the place.
    tail: Vec<u8>,
    parts: usize,
    most_parts: usize,
}

impl Watch {
    fn new(boundary: &str, most_parts: usize) -> Self {
        let (place, tail) = (Place::Preamble, Vec::new());
        Self { boundary: format!("\r\n--{boundary}"), place, seen: 0, tail, parts: 0, most_parts }
    }

    /// Takes note of the next bytes.
    fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Unbounded> {
        while let Some(end) = self.end_of_place(bytes) {
            self.seen += end;
            self.check_head()?;
            self.next_place()?;
            bytes = bytes.get(end..).unwrap_or_default();
        }
        self.seen = self.seen.saturating_add(bytes.len());
        self.check_head()?;
        let kept = self.ending().len() - 1;
        self.tail.extend_from_slice(bytes.get(bytes.len().saturating_sub(kept)..).unwrap_or_default());
        self.tail.drain(..self.tail.len().saturating_sub(kept));
        Ok(())
    }

    /// What ends the place.
    fn ending(&self) -> &[u8] {
        match self.place {
            Place::Preamble => self.boundary.as_bytes().get(2..).unwrap_or_default(),
            Place::BoundaryLine => b"\r\n",
            Place::Headers => b"\r\n\r\n",
            Place::Content => self.boundary.as_bytes(),
        }
    }

    /// Behind which of `bytes` the place ends; its ending may have begun in bytes before.
    fn end_of_place(&self, bytes: &[u8]) -> Option<usize> {
        let ending = self.ending();
        let seam = [&self.tail, bytes.get(..bytes.len().min(ending.len() - 1)).unwrap_or_default()].concat();
        let across = memmem::find(&seam, ending).map(|at| at + ending.len() - self.tail.len());
        across.or_else(|| memmem::find(bytes, ending).map(|at| at + ending.len()))
    }

    fn next_place(&mut self) -> Result<(), Unbounded> {
        self.place = match self.place {
            Place::Preamble | Place::Content => Place::BoundaryLine,
            Place::BoundaryLine => Place::Headers,
            Place::Headers => {
                self.parts += 1;
                Place::Content
            }
        };
        self.seen = 0;
        self.tail.clear();
        if self.parts > self.most_parts { Err(Unbounded::Parts(self.most_parts)) } else { Ok(()) }
    }

    fn check_head(&self) -> Result<(), Unbounded> {
        match self.place != Place::Content && self.seen > LONGEST_HEAD {
            true => Err(Unbounded::Head),
            false => Ok(()),
        }
    }
}

/// A multipart body on its way to the parser.
pub struct Watched<S> {
    body: S,
    watch: Watch,
    /// One piece at a time: the parser takes in all that it can get.
    rests: bool,
}

impl<S> Watched<S> {
    /// `body`, whose parts `boundary` separates; at most `most_parts` of them.
    pub fn new(body: S, boundary: &str, most_parts: usize) -> Self {
        Self { body, watch: Watch::new(boundary, most_parts), rests: false }
    }
}

impl<S: Stream<Item = Result<Bytes, axum::Error>> + Unpin> Stream for Watched<S> {
    type Item = Result<Bytes, Unbounded>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.body).poll_next(context);
        polled.map(|piece| {
            self.rests = piece.is_some();
            piece.map(|piece| {
                let piece = piece.map_err(|_| Unbounded::Broken)?;
                self.watch.pass(&piece).map(|()| piece)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    const PART: &str = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n";

    fn pass(body: &[u8], piece: usize) -> Result<(), Unbounded> {
        let mut watch = Watch::new("b", 3);
        body.chunks(piece.max(1)).try_for_each(|piece| watch.pass(piece))
    }

    #[test]
    fn what_does_not_end_is_refused_wherever_it_is_cut() {
        let long = "y".repeat(LONGEST_HEAD + 1);
        for (body, expected) in [
            (PART.repeat(3) + "--b--\r\n", Ok(())),
            (PART.repeat(4) + "--b--\r\n", Err(Unbounded::Parts(3))),
            (long.clone(), Err(Unbounded::Head)),
            (format!("--b{long}"), Err(Unbounded::Head)),
            (format!("--b\r\nx: {long}"), Err(Unbounded::Head)),
            // Two line ends behind a boundary are not the end of the headers.
            (format!("--b\r\n\r\n{long}"), Err(Unbounded::Head)),
            // Without a boundary, nothing ends what is in front of the first one.
            (format!("\r\n\r\n{long}"), Err(Unbounded::Head)),
            (format!("--b\r\nx: y\r\n\r\n{long}\r\n--b--"), Ok(())),
        ] {
            for piece in [1, 2, 3, 7, 1000, usize::MAX] {
                assert_eq!(pass(body.as_bytes(), piece), expected, "{piece}");
            }
        }
    }

    proptest! {
        #[test]
        fn where_a_body_is_cut_changes_nothing(body in "(-|b|\r|\n|x|\r\n--b|\r\n\r\n){0,60}", piece in 1..20_usize) {
            let whole = { let mut watch = Watch::new("b", 3); let said = watch.pass(body.as_bytes()); (said, watch.place) };
            let cut = {
                let mut watch = Watch::new("b", 3);
                let said = body.as_bytes().chunks(piece).try_for_each(|piece| watch.pass(piece));
                (said, watch.place)
            };
            prop_assert_eq!(whole, cut);
        }
    }
}
