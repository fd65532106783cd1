//! Reading a body, piece by piece, within its limits.

use axum::body::{BodyDataStream, Bytes};
use axum::extract::{FromRequest, Request};
use futures::{Stream, StreamExt};
use http::{HeaderMap, header};
use multer::{Constraints, Field, Multipart, SizeLimit};
use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use super::buffer::SecretBytes;
use super::heads::{Unbounded, Watched};
use super::{Encoding, Form, FormLimits, JsonObject, LONGEST_JSON, Part};
use crate::transport::audit::Record;
use crate::transport::error::ApiError;

/// Reads by `Content-Type`, within the [`FormLimits`] that the limits layer set (else the default ones).
///
/// A JSON body gives no fields and is kept for [`Form::json_object`]; a body of any other type is not read.
impl<S: Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let limits = limits_of(&request);
        let content_type = content_type(request.headers());
        let encoding = encoding_of(&content_type);
        let mut form = Self::empty(encoding);
        let record = request.extensions().get::<Record>().cloned();
        let body = request.into_body().into_data_stream();
        match encoding {
            Encoding::Multipart => read_multipart(&mut form, &content_type, body, limits).await?,
            Encoding::UrlEncoded => read_urlencoded(&mut form, &collect(body, limits).await?, limits)?,
            Encoding::Json => form.json = collect(body, of_json(limits)).await?,
            Encoding::Other => {}
        }
        if let Some(record) = record {
            record.form(&form);
        }
        Ok(form)
    }
}

/// Reads the body as JSON whatever its `Content-Type` says (access.md §8), within [`FormLimits::total_bytes`] and
/// what any JSON body may have.
impl<S: Sync> FromRequest<S> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let limits = of_json(limits_of(&request));
        let record = request.extensions().get::<Record>().cloned();
        let object = Self::parse(&collect(request.into_body().into_data_stream(), limits).await?)?;
        if let Some(record) = record {
            record.json(&object.0);
        }
        Ok(object)
    }
}

fn limits_of(request: &Request) -> FormLimits {
    request.extensions().get().copied().unwrap_or_default()
}

/// The limits of a JSON body, which becomes many times as large when it is read.
fn of_json(limits: FormLimits) -> FormLimits {
    FormLimits { total_bytes: limits.total_bytes.min(LONGEST_JSON), ..limits }
}

fn content_type(headers: &HeaderMap) -> String {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn encoding_of(content_type: &str) -> Encoding {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "multipart/form-data" => Encoding::Multipart,
        "application/x-www-form-urlencoded" => Encoding::UrlEncoded,
        "application/json" => Encoding::Json,
        _ => Encoding::Other,
    }
}

async fn collect(mut body: BodyDataStream, limits: FormLimits) -> Result<SecretBytes, ApiError> {
    let mut bytes = SecretBytes::default();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| broken())?;
        if chunk.len() > limits.total_bytes.saturating_sub(bytes.len()) {
            return Err(over_total(limits));
        }
        bytes.extend(&chunk);
    }
    Ok(bytes)
}

fn read_urlencoded(form: &mut Form, body: &SecretBytes, limits: FormLimits) -> Result<(), ApiError> {
    // The parser below replaces what is not UTF-8; a replaced value would be a wrong one.
    let decoded = Zeroizing::new(percent_decode(body.as_slice()).collect::<Vec<u8>>());
    if std::str::from_utf8(&decoded).is_err() {
        return Err(ApiError::bad_request("form fields must be UTF-8"));
    }
    for (place, (name, value)) in form_urlencoded::parse(body.as_slice()).enumerate() {
        if place >= limits.parts {
            let text = format!("form has more than {} fields, from {} on", limits.parts, shown(&name));
            return Err(ApiError::too_large(text));
        }
        if value.len() > limits.field_bytes {
            return Err(over_field(&name, limits));
        }
        let bytes = SecretBytes::from(value.into_owned().into_bytes());
        add(form, name.into_owned(), Part { bytes, filename: None, content_type: None });
    }
    Ok(())
}

async fn read_multipart(
    form: &mut Form,
    content_type: &str,
    body: BodyDataStream,
    limits: FormLimits,
) -> Result<(), ApiError> {
    let mut parts = Parts::read(content_type, body, limits).await?;
    while let Some(mut streamed) = parts.next().await? {
        let mut bytes = SecretBytes::default();
        while let Some(chunk) = streamed.chunk().await? {
            bytes.extend(&chunk);
        }
        let StreamedPart { name, filename, field, .. } = streamed;
        let content_type = field.content_type().map(ToString::to_string);
        add(form, name, Part { bytes, filename, content_type });
    }
    Ok(())
}

/// The parts of a multipart body one after the other, for handlers that do not keep them in memory. An extractor,
/// within the [`FormLimits`] that the limits layer set; a body of any other type has no parts.
pub struct Parts {
    parts: Option<Multipart<'static>>,
    limits: FormLimits,
    record: Option<Record>,
}

/// One part, whose content is still to be read.
pub struct StreamedPart {
    /// Name of the field.
    pub name: String,
    /// The file's name as the client gave it (never a path to use); plain fields have none.
    pub filename: Option<String>,
    field: Field<'static>,
    limits: FormLimits,
    record: Option<Record>,
}

impl<S: Sync> FromRequest<S> for Parts {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let limits = limits_of(&request);
        let content_type = content_type(request.headers());
        let record = request.extensions().get::<Record>().cloned();
        match encoding_of(&content_type) {
            Encoding::Multipart => {
                let body = request.into_body().into_data_stream();
                Ok(Self { record, ..Self::read(&content_type, body, limits).await? })
            }
            _ => Ok(Self { parts: None, limits, record }),
        }
    }
}

impl Parts {
    async fn read(content_type: &str, body: BodyDataStream, limits: FormLimits) -> Result<Self, ApiError> {
        let boundary = multer::parse_boundary(content_type)
            .ok()
            .filter(|boundary| !boundary.is_empty())
            .ok_or_else(|| ApiError::bad_request("multipart body without a boundary in its content type"))?;
        let size =
            SizeLimit::new().whole_stream(limits.total_bytes as u64).per_field(limits.field_bytes as u64);
        let constraints = Constraints::new().size_limit(size);
        let body = not_empty(body).await?;
        let parts = body.map(|body| {
            let body = Watched::new(body, &boundary, limits.parts);
            Multipart::with_constraints(body, boundary, constraints)
        });
        Ok(Self { parts, limits, record: None })
    }

    /// The next part; what was not read of the one before is skipped.
    ///
    /// # Errors
    /// 400 for a malformed body or a part without a name, 413 for what is over a limit.
    pub async fn next(&mut self) -> Result<Option<StreamedPart>, ApiError> {
        let limits = self.limits;
        let Some(parts) = &mut self.parts else { return Ok(None) };
        let field = parts.next_field().await.map_err(|error| refused(&error, None, limits))?;
        let Some(field) = field else { return Ok(None) };
        let name = field.name().map(str::to_owned);
        let name = name.ok_or_else(|| ApiError::bad_request("a part of the multipart body has no name"))?;
        let filename = field.file_name().map(str::to_owned);
        if let Some(record) = &self.record {
            record.part(&name, filename.is_some());
        }
        Ok(Some(StreamedPart { name, filename, field, limits, record: self.record.clone() }))
    }
}

impl StreamedPart {
    /// The next piece of the content; `None` at its end.
    ///
    /// # Errors
    /// As [`Parts::next`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        let chunk = self.field.chunk().await;
        let chunk = chunk.map_err(|error| refused(&error, Some(&self.name), self.limits))?;
        if let Some(record) = &self.record {
            record.piece(chunk.as_deref().unwrap_or_default());
        }
        Ok(chunk)
    }
}

/// The same stream if it has any byte; an empty body is a form without parts, not a broken one.
async fn not_empty(
    mut body: BodyDataStream,
) -> Result<Option<impl Stream<Item = Result<Bytes, axum::Error>> + Send + Unpin>, ApiError> {
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| broken())?;
        if !chunk.is_empty() {
            return Ok(Some(futures::stream::iter([Ok(chunk)]).chain(body)));
        }
    }
    Ok(None)
}

/// Adds a part; the last one of a name counts.
fn add(form: &mut Form, name: String, part: Part) {
    match form.fields.iter_mut().find(|(known, _)| *known == name) {
        Some((_, earlier)) => *earlier = part,
        None => form.fields.push((name, part)),
    }
}

fn refused(error: &multer::Error, field: Option<&str>, limits: FormLimits) -> ApiError {
    match (error, field) {
        (multer::Error::FieldSizeExceeded { field_name, .. }, field) => {
            over_field(field.or(field_name.as_deref()).unwrap_or_default(), limits)
        }
        (multer::Error::StreamSizeExceeded { .. }, Some(field)) => {
            ApiError::too_large(format!("{}: {}", shown(field), over_total_text(limits)))
        }
        (multer::Error::StreamSizeExceeded { .. }, None) => over_total(limits),
        (multer::Error::StreamReadFailed(cause), _) => match cause.downcast_ref() {
            Some(why @ (Unbounded::Head | Unbounded::Parts(_))) => ApiError::too_large(why.to_string()),
            _ => broken(),
        },
        (_, Some(field)) => {
            ApiError::bad_request(format!("malformed multipart body in field {}", shown(field)))
        }
        (_, None) => ApiError::bad_request("malformed multipart body"),
    }
}

fn broken() -> ApiError {
    ApiError::bad_request("the request body could not be read")
}

fn over_field(name: &str, limits: FormLimits) -> ApiError {
    ApiError::too_large(format!("field {} is over the limit of {} bytes", shown(name), limits.field_bytes))
}

fn over_total(limits: FormLimits) -> ApiError {
    ApiError::too_large(over_total_text(limits))
}

fn over_total_text(limits: FormLimits) -> String {
    format!("request body is over the limit of {} bytes", limits.total_bytes)
}

/// A client's field name, fit for an error text: bounded and without control characters.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A form as a handler would get it from `body`, for the tests of its parts.
#[cfg(test)]
pub(super) async fn form_of(
    content_type: &str,
    body: impl Into<axum::body::Body>,
    limits: FormLimits,
) -> Result<Form, ApiError> {
    let mut request = Request::new(body.into());
    if let Ok(value) = content_type.parse() {
        request.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    request.extensions_mut().insert(limits);
    Form::from_request(request, &()).await
}
