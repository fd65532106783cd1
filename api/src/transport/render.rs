//! Error bodies in the forms of the contract (access.md §9).

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;

use super::error::ApiError;
use super::negotiation::{Accept, ErrorForm};

/// Most of a text error made below this layer (an extractor's refusal) that is taken over as detail, in bytes.
const FOREIGN_TEXT_BYTES: usize = 4096;

/// Gives every error answer its body, in the form the request's `Accept` asks for.
///
/// Besides [`ApiError`] it takes in plain-text and empty error answers of the framework; anything else (a readiness
/// report with its own JSON, say) passes untouched.
pub async fn render_errors<F: Future<Output = Response>>(
    request: Request,
    work: impl FnOnce(Request) -> F,
) -> Response {
    // Read only where there is an error: most answers are none.
    let accept: Vec<HeaderValue> = request.headers().get_all(header::ACCEPT).iter().cloned().collect();
    let bodiless = request.method() == Method::HEAD;
    let mut response = work(request).await;
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return response;
    }
    let accept = Accept::from_values(&accept);
    let mut response = match response.extensions_mut().remove::<ApiError>() {
        Some(error) => paint(response, &error, accept.error_form()),
        None if is_plain(&response) => {
            let (parts, body) = response.into_parts();
            let text = to_bytes(body, FOREIGN_TEXT_BYTES).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let error = match text.trim() {
                "" => ApiError::bare(parts.status),
                text => ApiError::new(parts.status, text),
            };
            paint(Response::from_parts(parts, Body::empty()), &error, accept.error_form())
        }
        None => response,
    };
    if bodiless {
        *response.body_mut() = Body::empty();
    }
    response
}

fn is_plain(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

fn paint(mut response: Response, error: &ApiError, form: ErrorForm) -> Response {
    let (kind, body) = body_of(error, form);
    let headers = response.headers_mut();
    // Not the length of the body that stands here now.
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    *response.body_mut() = Body::from(body);
    response
}

/// Content type and body of `error` in `form`.
fn body_of(error: &ApiError, form: ErrorForm) -> (&'static str, String) {
    let code = error.status().as_u16();
    let title = error.status().canonical_reason().unwrap_or("Unknown");
    let explanation = explanation(error.status());
    let detail = error.detail().unwrap_or_default();
    match form {
        ErrorForm::Json => (
            "application/json",
            json!({"code": code, "title": title, "description": error.detail()}).to_string(),
        ),
        ErrorForm::LibraryJson => {
            let message = format!("{explanation}\n\n{detail}");
            let body =
                json!({"message": message.trim_end(), "code": format!("{code} {title}"), "title": title});
            ("application/json", body.to_string())
        }
        ErrorForm::Html => {
            ("text/html; charset=UTF-8", page(&format!("{code} {title}"), explanation, detail))
        }
        ErrorForm::Plain => {
            let text = format!("{code} {title}\n\n{explanation}\n\n{detail}");
            ("text/plain; charset=UTF-8", format!("{}\n", text.trim_end()))
        }
    }
}

/// The page of access.md §9: the command-line client prints the text of `<body>` without its first line.
fn page(status: &str, explanation: &str, detail: &str) -> String {
    let detail = escape(detail);
    format!(
        "<html>\n <head>\n  <title>{status}</title>\n </head>\n <body>\n  <h1>{status}</h1>\n  \
         {explanation}<br /><br />\n{detail}\n\n\n </body>\n</html>"
    )
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            c => out.push(c),
        }
        out
    })
}

/// One fixed sentence per status.
fn explanation(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "The request is malformed, incomplete or not possible in the present state.",
        401 => "This request needs an identity that the service can confirm.",
        403 => "This identity may not do that.",
        404 => "What was asked for could not be found.",
        405 => "This method does not apply to this resource.",
        406 => "No representation of the resource is acceptable to the client.",
        409 => "The request conflicts with something that exists already.",
        410 => "This resource is no longer available.",
        413 => "The request is larger than the service takes.",
        414 => "The address of the request is longer than the service takes.",
        422 => "The request was understood but could not be carried out.",
        431 => "The headers of the request are larger than the service takes.",
        503 => "The service cannot answer at the moment; try again later.",
        _ if status.is_client_error() => "The request could not be accepted.",
        _ => "The service failed to answer the request.",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_page_is_the_contracts_byte_for_byte() {
        let (kind, body) = body_of(&ApiError::not_found("Subcloud not found"), ErrorForm::Html);
        assert_eq!(kind, "text/html; charset=UTF-8");
        assert_eq!(
            body,
            "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n  \
             What was asked for could not be found.<br /><br />\nSubcloud not found\n\n\n </body>\n</html>"
        );
    }

    #[test]
    fn ac_026_markup_in_a_detail_is_escaped() {
        let (_, body) = body_of(&ApiError::bad_request("<b>&\"'"), ErrorForm::Html);
        assert!(body.contains("\n&lt;b&gt;&amp;&quot;&#x27;\n"), "{body}");
    }

    #[test]
    fn ac_027_the_client_prints_explanation_and_detail_without_the_title() {
        let (_, body) = body_of(&ApiError::not_found("Subcloud not found"), ErrorForm::Html);
        let text = body.split("<body>").nth(1).unwrap().split("</body>").next().unwrap();
        let text = text.replace("<h1>", "").replace("</h1>", "").replace("<br />", "");
        let printed: Vec<_> = text.trim().lines().skip(1).map(str::trim).collect();
        assert_eq!(printed.join(" "), "What was asked for could not be found. Subcloud not found");
    }

    #[test]
    fn ac_025_policy_errors_have_a_null_description() {
        let (kind, body) = body_of(&ApiError::forbidden(), ErrorForm::Json);
        assert_eq!(
            (kind, body.as_str()),
            ("application/json", r#"{"code":403,"title":"Forbidden","description":null}"#)
        );
    }

    #[test]
    fn text_and_library_forms() {
        let error = ApiError::gone("use x");
        assert_eq!(
            body_of(&error, ErrorForm::Plain).1,
            "410 Gone\n\nThis resource is no longer available.\n\nuse x\n"
        );
        assert_eq!(
            body_of(&error, ErrorForm::LibraryJson).1,
            r#"{"message":"This resource is no longer available.\n\nuse x","code":"410 Gone","title":"Gone"}"#
        );
    }
}
