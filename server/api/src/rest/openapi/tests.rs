use super::*;

fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Object(map) => map.values().for_each(|v| walk(v, visit)),
        Value::Array(list) => list.iter().for_each(|v| walk(v, visit)),
        _ => {}
    }
}

#[test]
fn every_reference_resolves() {
    let document = openapi();
    let mut seen = 0;
    walk(&document, &mut |value| {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            seen += 1;
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
    });
    assert!(seen > 30);
}

#[test]
fn every_route_is_described_once() {
    let document = openapi();
    let mut ids = BTreeSet::new();
    for route in &ROUTES.0 {
        let operation = &document["paths"][&route.template][route.http.as_str().to_lowercase()];
        let id = operation["operationId"].as_str().expect("an id");
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        assert!(!operation["description"].as_str().unwrap().is_empty(), "{id} has no comment");
        for parameter in operation["parameters"].as_array().unwrap() {
            assert!(!parameter["description"].as_str().unwrap().is_empty(), "{id} {parameter}");
        }
        let secured = !operation["security"].as_array().unwrap().is_empty();
        assert_eq!(secured, route.method.access.session, "{id}");
    }
}

#[test]
fn the_blob_path_says_what_it_does() {
    let document = openapi();
    let path = &document["paths"]["/v1/storage/{project_id}/{env_name}"];
    let put = &path["put"];
    assert!(put["requestBody"]["content"]["application/octet-stream"].is_object());
    let header = |name: &str| {
        put["parameters"].as_array().unwrap().iter().find(|p| p["name"] == name).cloned().unwrap()
    };
    assert_eq!(header("veil-seal")["required"], true);
    assert_eq!(header("if-match")["required"], false);
    assert_eq!(header("project_id")["in"], "path");
    let get = &path["get"];
    for code in ["200", "206", "304", "default"] {
        assert!(get["responses"][code].is_object(), "{code}");
    }
    assert!(get["responses"]["200"]["headers"]["veil-seal"].is_object());
    let names: Vec<&str> =
        get["parameters"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
    assert!(names.contains(&"version") && names.contains(&"range") && !names.contains(&"offset"));
    assert!(path["head"]["responses"]["200"].is_object());
}

#[test]
fn the_paths_beside_the_rpcs_are_described() {
    let document = openapi();
    for path in [
        "/health",
        "/health/ready",
        "/openapi.json",
        "/docs",
        "/docs/errors",
        "/docs/errors/{reason}",
        "/log/{origin}/checkpoint",
        "/log/{origin}/tile/{level}/{tile}",
    ] {
        let get = &document["paths"][path]["get"];
        assert!(
            !get["description"].as_str().unwrap().is_empty() && get["responses"]["200"].is_object(),
            "{path}"
        );
        for variable in path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
            let named = |p: &&Value| p["name"] == variable && p["in"] == "path";
            assert!(get["parameters"].as_array().unwrap().iter().any(|p| named(&p)), "{path} {variable}");
        }
    }
    let security = &document["paths"]["/log/{origin}/checkpoint"]["get"]["security"];
    assert_eq!(*security, json!([{}, {"logToken": []}]));
}

#[test]
fn each_operation_lists_the_reasons_of_its_refusals() {
    let document = openapi();
    let all =
        document["components"]["schemas"]["Problem"]["properties"]["reason"]["enum"].as_array().unwrap();
    let of = |path: &str, http: &str| {
        let problem = "/responses/default/content/application~1problem+json/schema/properties/reason/enum";
        document["paths"][path][http].pointer(problem).and_then(Value::as_array).unwrap().clone()
    };
    for (path, item) in document["paths"].as_object().unwrap() {
        for http in item.as_object().unwrap().keys() {
            let reasons = of(path, http);
            assert!(
                !reasons.is_empty() && reasons.iter().all(|reason| all.contains(reason)),
                "{http} {path}"
            );
        }
    }
    let put = of("/v1/storage/{project_id}/{env_name}", "put");
    assert!(put.contains(&json!("ETAG_MISMATCH")) && !put.contains(&json!("TEAM_LIMIT")));
}

#[test]
fn the_document_is_the_same_every_time() {
    assert_eq!(openapi().to_string(), openapi().to_string());
}
