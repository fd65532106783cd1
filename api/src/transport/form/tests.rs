//! Forms as clients send them, and as they should not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use axum::body::Body;
use http::StatusCode;
use proptest::prelude::*;

use super::read::form_of;
use super::{Encoding, Form, FormLimits};
use crate::transport::error::ApiError;

const MULTIPART: &str = "multipart/form-data; boundary=b";
const URLENCODED: &str = "application/x-www-form-urlencoded";

async fn read(content_type: &str, body: impl Into<Body>) -> Result<Form, ApiError> {
    form_of(content_type, body, FormLimits { field_bytes: 20, total_bytes: 400, parts: 3 }).await
}

fn refusal(result: Result<Form, ApiError>) -> (u16, String) {
    let error = result.expect_err("refused");
    (error.status().as_u16(), error.detail().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn multipart_with_file_and_plain_fields() {
    let body = "--b\r\nContent-Disposition: form-data; name=\"bootstrap_values\"; filename=\"a.yml\"\r\n\
                Content-Type: text/yaml\r\n\r\nname: x\r\n\
                --b\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n\
                --b\r\nContent-Disposition: form-data; name=\"raw\"\r\n\r\n";
    let body = [body.as_bytes(), b"\xff\r\n--b--\r\n"].concat();
    let form = read(MULTIPART, body).await.unwrap();
    assert_eq!((form.encoding(), form.is_empty()), (Encoding::Multipart, false));
    assert_eq!(form.fields().map(|(name, _)| name).collect::<Vec<_>>(), ["bootstrap_values", "empty", "raw"]);
    let file = form.part("bootstrap_values").unwrap();
    assert_eq!((file.filename(), file.content_type()), (Some("a.yml"), Some("text/yaml")));
    assert_eq!(form.yaml_mapping("bootstrap_values").unwrap().unwrap()["name"], "x");
    let empty = form.part("empty").unwrap();
    assert_eq!((empty.filename(), empty.content_type(), form.text("empty")), (None, None, Ok(Some(""))));
    assert_eq!(form.text("absent"), Ok(None));
    assert_eq!(form.text("raw").unwrap_err(), ApiError::bad_request("field raw must be UTF-8"));
    assert_eq!(format!("{form:?}"), r#"{"bootstrap_values": ***, "empty": ***, "raw": ***}"#);
}

#[tokio::test]
async fn multipart_without_parts_is_an_empty_form() {
    for body in ["--b--\r\n", "--b--", ""] {
        let form = read(MULTIPART, body).await.unwrap();
        assert!(form.is_empty() && form.encoding() == Encoding::Multipart, "{body:?}");
    }
}

#[tokio::test]
async fn broken_multipart_is_a_bad_request() {
    for (content_type, body) in [
        ("multipart/form-data", "--b--\r\n"),
        ("multipart/form-data; boundary=", "--b--\r\n"),
        (MULTIPART, "no boundary"),
        (MULTIPART, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\ncut"),
        (MULTIPART, "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        (MULTIPART, "--b\r\nnot a header\r\n\r\nx\r\n--b--\r\n"),
    ] {
        assert_eq!(refusal(read(content_type, body).await).0, 400, "{content_type} {body:?}");
    }
}

#[tokio::test]
async fn urlencoded_fields_in_order_the_last_of_a_name_counts() {
    let four = FormLimits { field_bytes: 20, total_bytes: 400, parts: 4 };
    let form = form_of(URLENCODED, "a=1&b=%C3%A9+x&a=2&c", four).await.unwrap();
    let fields: Vec<_> = form.fields().map(|(name, part)| (name, part.bytes().to_vec())).collect();
    assert_eq!(fields, [("a", b"2".to_vec()), ("b", "é x".into()), ("c", Vec::new())]);
    assert_eq!(form.text("b"), Ok(Some("é x")));
    assert_eq!(refusal(read(URLENCODED, "a=%ff").await).0, 400);
}

#[tokio::test]
async fn limits_name_the_field() {
    let long = "x".repeat(21);
    let field = |value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"deploy\"\r\n\r\n{value}\r\n--b--\r\n")
    };
    let over = (413, "field deploy is over the limit of 20 bytes".to_owned());
    assert_eq!(refusal(read(MULTIPART, field(&long)).await), over);
    assert_eq!(refusal(read(URLENCODED, format!("deploy={long}")).await), over);
    let wide = FormLimits { field_bytes: 9000, total_bytes: 400, parts: 3 };
    let (status, text) = refusal(form_of(MULTIPART, field(&"x".repeat(500)), wide).await);
    assert_eq!((status, text.contains("400 bytes")), (413, true), "{text}");
    assert_eq!(refusal(form_of(URLENCODED, "x".repeat(500), wide).await).0, 413);
    let (status, text) = refusal(read(URLENCODED, "a&b&c&d").await);
    assert_eq!((status, text.contains("from d on")), (413, true), "{text}");
}

#[tokio::test]
async fn parts_and_their_headers_are_bounded() {
    let wide = FormLimits { field_bytes: 90_000, total_bytes: 90_000, parts: 3 };
    let part = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n";
    let four = form_of(MULTIPART, part.repeat(4) + "--b--\r\n", wide).await;
    assert_eq!(refusal(four), (413, "the form has more than 3 parts".to_owned()));
    let long = "y".repeat(20_000);
    for body in [long.clone(), format!("--b\r\nx: {long}"), format!("--b\r\n\r\n{long}")] {
        let (status, text) = refusal(form_of(MULTIPART, body, wide).await);
        assert_eq!((status, text.contains("headers of a part")), (413, true), "{text}");
    }
}

#[tokio::test]
async fn a_json_body_is_bounded_by_what_becomes_of_it() {
    let wide = FormLimits { field_bytes: 9_000_000, total_bytes: 9_000_000, parts: 3 };
    let many = format!("{{\"a\": [{}1]}}", "1,".repeat(200_001));
    let form = form_of("application/json", many, wide).await.unwrap();
    assert_eq!(form.json_object().unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(1024 * 1024));
    assert_eq!(refusal(form_of("application/json", long, wide).await).0, 413);
}

#[tokio::test]
async fn a_total_limit_met_inside_a_streamed_field_names_it() {
    let head = "--b\r\nContent-Disposition: form-data; name=\"deploy\"\r\n\r\n";
    let chunks = std::iter::once(head.to_owned()).chain((0..100).map(|_| "x".repeat(10)));
    let paced = futures::StreamExt::then(futures::stream::iter(chunks), |chunk| async {
        tokio::task::yield_now().await;
        Ok::<_, std::io::Error>(chunk)
    });
    let wide = FormLimits { field_bytes: 9000, total_bytes: 400, parts: 3 };
    let (status, text) = refusal(form_of(MULTIPART, Body::from_stream(paced), wide).await);
    assert_eq!((status, text.as_str()), (413, "deploy: request body is over the limit of 400 bytes"));
}

#[tokio::test]
async fn a_json_body_has_no_fields_but_its_object() {
    let form = read("application/json; charset=utf-8", r#"{"a": 1}"#).await.unwrap();
    assert!(form.is_empty() && form.encoding() == Encoding::Json);
    assert_eq!(form.json_object().unwrap().unwrap()["a"], 1);
    let deep = format!("{}{}", "[".repeat(150), "]".repeat(150));
    for (body, text) in [
        ("", "Request body is malformed"),
        ("{", "Request body is malformed"),
        ("a=1", "Request body is malformed"),
        (&deep, "Request body is malformed"),
        ("[]", "Invalid request body format"),
        ("\"x\"", "Invalid request body format"),
        ("null", "Invalid request body format"),
    ] {
        let form = read("application/json", body.to_owned()).await.unwrap();
        assert_eq!(form.json_object().unwrap_err(), ApiError::bad_request(text), "{body}");
    }
}

#[tokio::test]
async fn other_bodies_are_not_read() {
    for content_type in ["", "text/plain", "multipart/mixed; boundary=b", "a\u{7f}"] {
        let form = read(content_type, "--b--\r\n").await.unwrap();
        assert_eq!((form.encoding(), form.json_object()), (Encoding::Other, Ok(None)), "{content_type}");
    }
}

#[tokio::test]
async fn yaml_complaints_use_the_contracts_texts() {
    let limits = FormLimits::default();
    for (value, text) in [
        ("", "Unable to load install_values file contents, empty file provided"),
        ("null", "Unable to load install_values file contents, empty file provided"),
        ("a: 1%0Ab: [", "Unable to load install_values file contents, problem on line: 1"),
        ("- 1", "Unable to load install_values file contents, not a mapping"),
    ] {
        let form = form_of(URLENCODED, format!("install_values={value}"), limits).await.unwrap();
        let error = form.yaml_mapping("install_values").unwrap_err();
        assert_eq!((error.status(), error.detail()), (StatusCode::BAD_REQUEST, Some(text)));
        assert_eq!(form.yaml_mapping("absent"), Ok(None));
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(
        kind in prop_oneof![Just(MULTIPART), Just(URLENCODED), Just("application/json"), Just("multipart/form-data")],
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Ok(form) = block_on(read(kind, bytes)) {
            for (name, _) in form.fields() {
                let _ = (form.text(name), form.yaml_mapping(name));
            }
            let _ = form.json_object();
        }
    }

    #[test]
    fn anything_that_looks_like_multipart_is_read_or_refused(
        pieces in proptest::collection::vec(prop_oneof![
            Just("--b"), Just("\r\n"), Just("--"), Just("Content-Disposition: form-data; name=\"a\""),
            Just("; filename=\"\""), Just("Content-Type: x"), Just("x"), Just(":"), Just("\r\n\r\n"),
        ], 0..20),
    ) {
        let _ = block_on(read(MULTIPART, pieces.concat()));
    }

    #[test]
    fn fields_survive_both_encodings(value in "[^\\x00\n]{0,4}", name in "[a-z_-]{1,8}") {
        let encoded = form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
        let form = block_on(read(URLENCODED, encoded)).unwrap();
        prop_assert_eq!(form.text(&name), Ok(Some(value.as_str())));
        let body = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n--b--\r\n");
        let form = block_on(read(MULTIPART, body)).unwrap();
        prop_assert_eq!(form.text(&name), Ok(Some(value.as_str())));
    }
}

#[tokio::test]
async fn nul_is_refused_where_text_is_meant() {
    for (content_type, body) in [
        (MULTIPART, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\0y\r\n--b--\r\n"),
        (URLENCODED, "a=x%00y"),
    ] {
        let form = read(content_type, body).await.unwrap();
        assert_eq!(form.text("a").unwrap_err(), ApiError::bad_request("field a must not contain NUL"));
    }
    for body in ["a=k%3A+%22x%5C0%22", "a=%22x%5C0%22%3A+k"] {
        let problem = read(URLENCODED, body).await.unwrap().yaml_mapping("a").unwrap_err();
        assert!(problem.detail().unwrap().contains("problem on line: 0"), "{problem}");
    }
}
