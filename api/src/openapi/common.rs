//! What holds for many operations alike, whatever their handlers do: the transport's refusals, the forms of errors, the
//! ways to identify oneself, how bodies are read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use utoipa::Number;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, Content, Object, OpenApi, Ref, RefOr, Response, Schema};

const REQUEST_ID: &str = "X-Openstack-Request-Id";
const TOKEN: &str = "token";
const PROXY: &str = "proxy";

/// A refusal of the transport that is described once.
struct Refusal {
    status: &'static str,
    name: &'static str,
    description: &'static str,
    /// A header that comes with it.
    header: Option<(&'static str, &'static str, Type)>,
}

const fn refusal(status: &'static str, name: &'static str, description: &'static str) -> Refusal {
    Refusal { status, name, description, header: None }
}

const MALFORMED: Refusal =
    refusal("400", "Malformed", "The query, a header or the body is malformed, or not possible at present");
const UNIDENTIFIED: Refusal = Refusal {
    header: Some(("WWW-Authenticate", "With Keystone: where to get a token", Type::String)),
    ..refusal("401", "Unidentified", "Who is asking is not known")
};
const FORBIDDEN: Refusal = refusal("403", "Forbidden", "The policy does not allow it");
const UNKNOWN: Refusal = refusal("404", "Unknown", "There is nothing of this name");
const NOT_ACCEPTABLE: Refusal = refusal("406", "NotAcceptable", "The client does not take JSON");
const TOO_LARGE: Refusal =
    refusal("413", "TooLarge", "The body, or a field of it, is larger than the service takes");
const TOO_LONG: Refusal =
    refusal("414", "AddressTooLong", "Path and query are longer than the service takes");
const HEADERS_TOO_LARGE: Refusal =
    refusal("431", "HeadersTooLarge", "The headers are larger than the service takes");
const UNAVAILABLE: Refusal = Refusal {
    header: Some(("Retry-After", "Seconds after which it may be asked again", Type::Integer)),
    ..refusal(
        "503",
        "Unavailable",
        "It cannot be answered now: too much is asked at once, or a part is missing",
    )
};
const REFUSALS: [Refusal; 9] = [
    MALFORMED,
    UNIDENTIFIED,
    FORBIDDEN,
    UNKNOWN,
    NOT_ACCEPTABLE,
    TOO_LARGE,
    TOO_LONG,
    HEADERS_TOO_LARGE,
    UNAVAILABLE,
];

/// Completes `document` with what its handlers do not say themselves.
pub(crate) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (operation, takes_body) in operations(item) {
            identification(path, operation);
            parameters(path, operation);
            refusals(path, operation, takes_body);
            operation.responses.responses.values_mut().for_each(answer);
        }
    }
    let (json, forms) = (bodies(document, "application/json"), bodies(document, "multipart/form-data"));
    let components = document.components.get_or_insert_default();
    for name in &json {
        properties(&mut components.schemas, name).for_each(loose_integer);
    }
    for name in forms.difference(&json) {
        properties(&mut components.schemas, name).for_each(without_null);
    }
    for refusal in &REFUSALS {
        components.responses.insert(refusal.name.to_owned(), described(refusal).into());
    }
    components.headers.insert(REQUEST_ID.to_owned(), request_id().into());
    ways_to_identify(components);
}

/// The operations of a path, and whether their methods take a body.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&mut Operation, bool)> {
    let all =
        [(&mut item.get, false), (&mut item.post, true), (&mut item.patch, true), (&mut item.delete, false)];
    all.into_iter().filter_map(|(operation, takes_body)| operation.as_mut().map(|found| (found, takes_body)))
}

/// Names of the schemas of bodies that are sent as `kind`.
fn bodies(document: &mut OpenApi, kind: &str) -> BTreeSet<String> {
    let operations = document.paths.paths.values_mut().flat_map(operations);
    let contents = operations.filter_map(|(operation, _)| match operation.request_body.as_ref()? {
        RefOr::T(body) => body.content.get(kind),
        RefOr::Ref(_) => None,
    });
    let names = contents.filter_map(|content| match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(reference)), .. }) => {
            reference.ref_location.rsplit('/').next()
        }
        _ => None,
    });
    names.map(str::to_owned).collect()
}

/// The described properties of the schema `name`.
fn properties<'s>(
    schemas: &'s mut BTreeMap<String, RefOr<Schema>>,
    name: &str,
) -> impl Iterator<Item = &'s mut Object> {
    let properties = match schemas.get_mut(name) {
        Some(RefOr::T(Schema::Object(object))) => Some(object.properties.values_mut()),
        _ => None,
    };
    properties.into_iter().flatten().filter_map(|property| match property {
        RefOr::T(Schema::Object(property)) => Some(property),
        _ => None,
    })
}

fn types(property: &Object) -> Vec<Type> {
    match &property.schema_type {
        SchemaType::Type(one) => vec![one.clone()],
        SchemaType::Array(types) => types.clone(),
        SchemaType::AnyValue => Vec::new(),
    }
}

/// Integers of JSON bodies may have a fraction, which is cut off, or be digits in a text (fleet.md, marks); where they
/// may be left out the text may be empty.
fn loose_integer(property: &mut Object) {
    let types = types(property);
    if !types.contains(&Type::Integer) {
        return;
    }
    let optional = types.contains(&Type::Null);
    let null = optional.then_some(Type::Null);
    property.schema_type = [Type::Number, Type::String].into_iter().chain(null).collect();
    property.format = None;
    property.pattern =
        Some(if optional { r"^(\s*[+-]?[0-9]+\s*)?$" } else { r"^\s*[+-]?[0-9]+\s*$" }.to_owned());
    // Within the bounds once the fraction is cut off.
    if let Some(Number::Int(most)) = property.maximum {
        property.maximum = None;
        property.exclusive_maximum = Some(Number::Int(most.saturating_add(1)));
    }
    if property.minimum == Some(Number::Int(0)) {
        property.minimum = None;
        property.exclusive_minimum = Some(Number::Int(-1));
    }
}

/// A form has no null: what is optional is not sent.
fn without_null(property: &mut Object) {
    let mut types = types(property);
    types.retain(|kind| *kind != Type::Null);
    if let [one] = types.as_slice() {
        property.schema_type = one.clone().into();
    }
}

fn is_resource(path: &str) -> bool {
    path.starts_with("/v1.0/")
}

/// Health, metrics and documents are for everyone.
fn identification(path: &str, operation: &mut Operation) {
    let none: [&str; 0] = [];
    let ways = [TOKEN, PROXY].map(|way| SecurityRequirement::new(way, none));
    operation.security = Some(if is_resource(path) { ways.into() } else { Vec::new() });
}

fn ways_to_identify(components: &mut Components) {
    for (name, header, description) in [
        (
            TOKEN,
            "X-Auth-Token",
            "A token of Keystone, for a project. With `--auth none` nobody is asked for it.",
        ),
        (
            PROXY,
            "X-Identity-Status",
            "With `--auth headers`: `Confirmed`, set by a trusted proxy in front, which also sets `X-User-Id`, `X-Roles` \
             (separated by commas), `X-Tenant-Id`, `X-Project-Name`, `X-User-Name` and `X-User-Domain-Name`.",
        ),
    ] {
        let key = ApiKeyValue::with_description(header, description);
        components
            .security_schemes
            .insert(name.to_owned(), SecurityScheme::ApiKey(ApiKey::Header(key)).into());
    }
}

/// What the transport refuses before or instead of the handler.
fn refusals(path: &str, operation: &mut Operation, takes_body: bool) {
    let mut refusals = vec![TOO_LONG, HEADERS_TOO_LARGE];
    if is_resource(path) || path == "/" {
        refusals.extend([MALFORMED, UNAVAILABLE]);
    }
    if is_resource(path) {
        refusals.extend([UNIDENTIFIED, FORBIDDEN]);
        // Event streams are no JSON.
        if !operation.responses.responses.get("200").is_some_and(is_stream) {
            refusals.push(NOT_ACCEPTABLE);
        }
    }
    if path.contains('{') {
        refusals.push(UNKNOWN);
    }
    if takes_body {
        refusals.push(TOO_LARGE);
    }
    for Refusal { status, name, .. } in refusals {
        let known = RefOr::Ref(Ref::from_response_name(name));
        operation.responses.responses.entry(status.to_owned()).or_insert(known);
    }
}

fn is_stream(response: &RefOr<Response>) -> bool {
    matches!(response, RefOr::T(response) if response.content.contains_key("text/event-stream"))
}

fn described(refusal: &Refusal) -> Response {
    let error = Content::new(Some(Ref::from_schema_name("ErrorBody")));
    let mut response =
        Response::builder().description(refusal.description).content("application/json", error);
    if let Some((name, description, kind)) = &refusal.header {
        let schema = ObjectBuilder::new().schema_type(kind.clone());
        let header = HeaderBuilder::new().description(Some(*description)).schema(Some(Schema::from(schema)));
        response = response.header(*name, header.build());
    }
    let mut response = RefOr::T(response.build());
    answer(&mut response);
    match response {
        RefOr::T(response) => response,
        RefOr::Ref(_) => Response::default(),
    }
}

/// Every answer names its request, and an error is shown in the form that `Accept` asks for (access.md §9): where JSON
/// is described, so are the others.
fn answer(response: &mut RefOr<Response>) {
    let RefOr::T(response) = response else { return };
    let id = Ref::new(format!("#/components/headers/{REQUEST_ID}"));
    response.headers.insert(REQUEST_ID.to_owned(), RefOr::Ref(id));
    let json = match response.content.get("application/json") {
        Some(RefOr::T(content)) => content.schema.as_ref(),
        _ => None,
    };
    if json == Some(&RefOr::Ref(Ref::from_schema_name("ErrorBody"))) {
        for form in ["text/html", "text/plain"] {
            let text = ObjectBuilder::new().schema_type(Type::String).build();
            response.content.insert(form.to_owned(), Content::new(Some(text)).into());
        }
    }
}

fn request_id() -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^req-[0-9a-f-]{36}$"));
    HeaderBuilder::new()
        .description(Some("Names this request in logs and events"))
        .schema(Some(Schema::from(schema)))
        .build()
}

/// References in paths get an example that a new system has, positions their form.
fn parameters(path: &str, operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(known) = parameter else { continue };
        if known.name == "DCM-Position" {
            let position = ObjectBuilder::new().schema_type(Type::String).pattern(Some(
                r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.(0|[1-9][0-9]{0,18})$",
            ));
            known.schema = Some(Schema::from(position).into());
        } else if known.parameter_in == ParameterIn::Path {
            *parameter = RefOr::T(with_example(path, known));
        }
    }
}

fn with_example(path: &str, parameter: &Parameter) -> Parameter {
    let example: Option<Value> = match parameter.name.as_str() {
        "subcloud" | "cloud" => Some(json!("subcloud1")),
        "group" if path.starts_with("/v1.0/subcloud-groups") => Some(json!("Default")),
        "group" | "peer" | "association" => Some(json!("1")),
        "name" => Some(json!("subclouds")),
        _ => None,
    };
    ParameterBuilder::from(parameter.clone()).example(example).build()
}
