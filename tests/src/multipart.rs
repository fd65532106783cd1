//! Multipart forms exactly as the command line of the old service sends them.

use rand::Rng;

/// A `multipart/form-data` body: fields and files in the given order, no part with a content type of its own
/// (subclouds.md §11). HTTP libraries add one to files, so the body is written here.
#[derive(Clone, Debug)]
pub struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Default for Form {
    fn default() -> Self {
        Self::new()
    }
}

impl Form {
    /// A form without parts, which is a legal request (`subcloud deploy abort`).
    pub fn new() -> Self {
        Self { boundary: format!("{:032x}", rand::rng().random::<u128>()), body: Vec::new() }
    }

    /// Adds a text field.
    #[must_use]
    pub fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), value.as_bytes())
    }

    /// Adds a file with the name as typed by the user (it may hold folders).
    #[must_use]
    pub fn file(self, name: &str, file_name: &str, content: impl AsRef<[u8]>) -> Self {
        self.part(&format!("name=\"{name}\"; filename=\"{file_name}\""), content.as_ref())
    }

    fn part(mut self, disposition: &str, content: &[u8]) -> Self {
        let head = format!("--{}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n", self.boundary);
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(content);
        self.body.extend_from_slice(b"\r\n");
        self
    }

    /// Value of the request's `Content-Type`.
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// The whole body, closing boundary included.
    pub fn body(&self) -> Vec<u8> {
        let mut body = self.body.clone();
        body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_carry_no_content_type() {
        let form = Form::new().field("migrate", "true").file("bootstrap_values", "/tmp/a.yml", "name: x\n");
        let body = String::from_utf8(form.body()).unwrap();
        let b = &form.boundary;
        assert_eq!(
            body,
            format!(
                "--{b}\r\nContent-Disposition: form-data; name=\"migrate\"\r\n\r\ntrue\r\n\
                 --{b}\r\nContent-Disposition: form-data; name=\"bootstrap_values\"; filename=\"/tmp/a.yml\"\r\n\r\n\
                 name: x\n\r\n--{b}--\r\n"
            )
        );
    }

    #[test]
    fn a_form_without_parts_is_its_closing_boundary() {
        let form = Form::new();
        assert_eq!(form.body(), format!("--{}--\r\n", form.boundary).into_bytes());
    }
}
