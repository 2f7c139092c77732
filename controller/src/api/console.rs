//! The web console: its files, and the one page for every address of its own.
//!
//! Files are packed at build time (`.br` and `.gz` beside each) and sent as they lie. Their names carry their hash, so that a
//! browser keeps them for good; the page is never kept. Its policy lets it load from this controller alone, and lets no
//! script but ours run: styles that the components make carry a number that is drawn for each page.
//!
//! A release build holds the files; a debug build reads them where they lie in the tree.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

use super::problem::Problem;

#[derive(RustEmbed)]
#[folder = "console/dist"]
#[allow_missing = true]
struct Files;

/// What `vite build` makes of `index.html`; this stands in it where the number goes.
const PAGE: &str = "index.html";
const NONCE: &str = "__STYLE_NONCE__";

/// Paths that are never the console's.
const PROGRAMS: [&str; 3] = ["/api/", "/prometheus/", "/alertmanager/"];

/// What no other route takes: a file of the console, its page for a browser, or a problem.
pub async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let is_program = PROGRAMS.iter().any(|prefix| path.starts_with(prefix));
    if is_program || !matches!(method, Method::GET | Method::HEAD) {
        return Problem::not_found("such route; /api/openapi.json lists all").into_response();
    }
    let name = path.trim_start_matches('/');
    if name != PAGE
        && let Some(file) = file(name, &headers)
    {
        return file;
    }
    if accepts(&headers, &header::ACCEPT, "text/html") {
        return page().into_response();
    }
    Problem::not_found("such route; /api/openapi.json lists all").into_response()
}

fn accepts(headers: &HeaderMap, name: &header::HeaderName, what: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.split(';').next().is_some_and(|it| it.trim() == what))
}

/// A file by its name, packed as the browser takes it.
fn file(name: &str, headers: &HeaderMap) -> Option<Response> {
    let kind = kind(name)?;
    let packed = [("br", ".br"), ("gzip", ".gz")].into_iter();
    let mut packed = packed.filter(|(coding, _)| accepts(headers, &header::ACCEPT_ENCODING, coding));
    let packed = packed.find_map(|(coding, ending)| Some((coding, Files::get(&format!("{name}{ending}"))?)));
    let (coding, found) = match packed {
        Some((coding, found)) => (Some(coding), found),
        None => (None, Files::get(name)?),
    };
    // Only what vite named by its hash stays for good.
    let keep = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = (
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep), (header::VARY, "Accept-Encoding")],
        [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")],
        found.data.into_owned(),
    )
        .into_response();
    if let Some(coding) = coding {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    Some(response)
}

/// The type of what the build makes; nothing else is sent.
fn kind(name: &str) -> Option<&'static str> {
    const KINDS: [(&str, &str); 5] = [
        (".js", "text/javascript; charset=utf-8"),
        (".css", "text/css; charset=utf-8"),
        (".svg", "image/svg+xml"),
        (".json", "application/json"),
        (".txt", "text/plain; charset=utf-8"),
    ];
    KINDS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, kind)| *kind)
}

fn page() -> Response {
    let Some(found) = Files::get(PAGE) else {
        return (StatusCode::NOT_FOUND, secured("'none'"), Html(UNBUILT.to_owned())).into_response();
    };
    let nonce = crate::access::hex(&crate::access::random::<16>());
    let text = String::from_utf8_lossy(&found.data).replace(NONCE, &nonce);
    (secured(&format!("'self' 'nonce-{nonce}'")), Html(text)).into_response()
}

/// What the page may do; `styles` is where its styles may come from.
fn secured(styles: &str) -> [(header::HeaderName, String); 5] {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::X_FRAME_OPTIONS, "DENY".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ]
}

const UNBUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Watchkeep</title>\
<h1>The console is not built into this program</h1>\
<p>The API and the command line work without it. To build it, with Node 20.19 or later, in the source tree:</p>\
<pre>make console</pre><p>then build the program again. What is open, without a console: <code>watchkeep incident list</code></p>";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().expect("a header's value"))])
    }

    async fn status(method: Method, path: &str, accept: &str) -> (StatusCode, String) {
        let answer = serve(method, path.parse().expect("a path"), headers(header::ACCEPT, accept)).await;
        let kind = answer.headers()[header::CONTENT_TYPE].to_str().expect("text").to_owned();
        (answer.status(), kind)
    }

    #[tokio::test]
    async fn programs_are_told_that_a_route_is_not_there_and_browsers_get_the_page() {
        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
        for (method, path, accept) in [
            (Method::GET, "/api/v1/incident", browser),
            (Method::GET, "/prometheus/graph", browser),
            (Method::POST, "/incidents/INC-1", browser),
            (Method::GET, "/incidents/INC-1", "*/*"),
            (Method::GET, "/assets/gone-123.js", "*/*"),
            (Method::GET, "/../Cargo.toml", "*/*"),
        ] {
            let (status, kind) = status(method, path, accept).await;
            assert_eq!((status, kind.as_str()), (StatusCode::NOT_FOUND, "application/problem+json"), "{path}");
        }
        assert!(status(Method::GET, "/incidents/INC-1", browser).await.1.starts_with("text/html"));
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere_and_says_how_to_build_it_where_it_is_not() {
        let page = page();
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert!(UNBUILT.contains("make console") && UNBUILT.contains("20.19"));
    }

    #[test]
    fn what_a_browser_takes_is_read_word_for_word() {
        let takes = |value, what| accepts(&headers(header::ACCEPT_ENCODING, value), &header::ACCEPT_ENCODING, what);
        assert!(takes("gzip, deflate, br", "br") && takes("br;q=1.0", "br"));
        assert!(!takes("brotli", "br") && !takes("", "br"));
    }

    #[test]
    fn each_operation_has_a_name_of_its_own() {
        let document = serde_json::to_value(crate::api::document()).expect("the document is JSON");
        let paths = document["paths"].as_object().expect("it has paths");
        let names: Vec<&str> = paths
            .values()
            .filter_map(serde_json::Value::as_object)
            .flat_map(|item| item.values().filter_map(|operation| operation["operationId"].as_str()))
            .collect();
        let distinct: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert!(names.len() > 100 && distinct.len() == names.len(), "{} of {}", distinct.len(), names.len());
        assert!(distinct.contains("get_incidents_id"), "{distinct:?}");
    }

    /// The console's types are made from this file: `make console-types` writes both.
    #[test]
    fn the_console_s_copy_of_the_document_is_today_s() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/console/openapi.json");
        let today = serde_json::to_string_pretty(&crate::api::document()).expect("the document is JSON") + "\n";
        if std::env::var_os("WATCHKEEP_WRITE_OPENAPI").is_some() {
            std::fs::write(path, &today).expect("written");
        }
        let kept = std::fs::read_to_string(path).expect("the console has a copy");
        assert!(kept == today, "\"{path}\" is not what the handlers say today; write it anew with: make console-types");
    }
}
