//! Uploads exactly as the CLI sends them: no part has a content type, files have the path as typed.

use axum::body::{Body, to_bytes};
use http::Request;
use tower::ServiceExt;

use crate::site::{Answer, Site};

const BOUNDARY: &str = "5d2f0c8e9b7a4163a1c0";

/// A form whose files may hold anything.
#[derive(Clone, Default)]
pub struct Upload(Vec<u8>);

impl Upload {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), value.as_bytes())
    }

    pub fn file(self, name: &str, filename: &str, content: &[u8]) -> Self {
        self.part(&format!("name=\"{name}\"; filename=\"{filename}\""), content)
    }

    fn part(mut self, disposition: &str, content: &[u8]) -> Self {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// `POST /v1.0/subcloud-deploy/`.
    pub async fn send(&self, site: &Site) -> Answer {
        let mut body = self.0.clone();
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let request = Request::post("/v1.0/subcloud-deploy/")
            .header("accept", "application/json")
            .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
            .header("content-length", body.len())
            .body(Body::from(body))
            .unwrap();
        let (parts, body) = site.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }
}
