//! Writes a C program that calls every function of the header with every argument gone wrong.
//!
//! For each pointer: NULL, and a length without a pointer. For each text: a length that cannot be, bytes that are not UTF-8,
//! fewer bytes than there are, and a NUL. Each with and without a place for the error. What must fail has to say which
//! parameter it was and to leave results and handles as they are; nothing may crash, leak or be left unfreed. At last all
//! handles are freed in either order.

use std::fmt::Write;

use crate::api::{Function, Kind, Parameter};

/// One argument of one call that is not what it should be.
struct Wrong<'a> {
    parameter: &'a Parameter,
    what: &'static str,
    /// The C expressions of the argument, with its length if it has one.
    expressions: Vec<String>,
    /// The code that the call must give, with this parameter as the place; `None` when any will do.
    code: Option<&'static str>,
}

/// The program, as C that is C++ too.
pub(crate) fn program(functions: &[Function], fixtures: &str) -> String {
    let mut text = String::from(PROLOGUE);
    for function in functions.iter().filter(|function| function.name != "slotwise_version") {
        writeln!(text, "static void try_{}(void) {{", function.name).expect("a string grows");
        if function.fails() {
            tries(&mut text, function, fixtures);
        } else {
            null(&mut text, function, fixtures);
        }
        text.push_str("}\n\n");
    }
    let handles: Vec<&str> = functions
        .iter()
        .filter_map(|function| match function.parameters.as_slice() {
            [Parameter { kind: Kind::Freed(handle), .. }] => Some(handle.as_str()),
            _ => None,
        })
        .collect();
    text.push_str("static void free_in_either_order(void) {\n");
    for reverse in [false, true] {
        let order: Vec<&&str> =
            if reverse { handles.iter().rev().collect() } else { handles.iter().collect() };
        text.push_str("    {\n");
        for handle in &handles {
            made(fixtures, handle);
            writeln!(text, "        {handle} *{handle}_ = make_{handle}();").expect("a string grows");
        }
        for handle in order {
            writeln!(text, "        {handle}_free({handle}_);").expect("a string grows");
        }
        text.push_str("    }\n");
    }
    text.push_str("}\n\nint main(void) {\n");
    for function in functions.iter().filter(|function| function.name != "slotwise_version") {
        writeln!(text, "    try_{}();", function.name).expect("a string grows");
    }
    text.push_str(
        "    free_in_either_order();\n    printf(\"arguments: %u checks, %u wrong\\n\", checks, wrong);\n    \
         return wrong == 0 ? 0 : 1;\n}\n",
    );
    text
}

const PROLOGUE: &str = r#"/* Written by bindings/c/tests/arguments from slotwise.h. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "fixtures.h"

static unsigned wrong;

/* A result that a failed call must not have written. */
static void blank(void *place, size_t size) { memset(place, 0x5a, size); }

static bool untouched(const void *place, size_t size) {
    const unsigned char *bytes = (const unsigned char *)place;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0x5a) return false;
    }
    return true;
}

static void complain(const char *function, const char *parameter, const char *what, const char *instead) {
    fprintf(stderr, "%s, %s %s: %s\n", function, parameter, what, instead);
    wrong++;
}

/* The call must have failed with this code (any, if 0) at this parameter; an error must agree with the code. */
static void judge(const char *function, const char *parameter, const char *what, uint32_t expected, uint32_t code,
                  slotwise_error *error, bool asked) {
    checks++;
    if (expected != 0 && code != expected) {
        complain(function, parameter, what, code == SLOTWISE_OK ? "succeeds" : "gives another code");
    }
    if (asked && (error != NULL) != (code != SLOTWISE_OK)) {
        complain(function, parameter, what, "an error is written exactly when the call fails");
    }
    if (error != NULL) {
        if (slotwise_error_code(error) != code) complain(function, parameter, what, "code and error disagree");
        if (expected != 0 && strcmp(slotwise_error_path(error), parameter) != 0) {
            complain(function, parameter, what, slotwise_error_json(error));
            fprintf(stderr, "  if an earlier argument is at fault, give it an example in tests/c/fixtures.h\n");
        }
        if (strlen(slotwise_error_message(error)) == 0) complain(function, parameter, what, "no message");
        slotwise_error_free(error);
    }
}

"#;

/// A function without an error: NULL for everything, and what it gives of a handle.
fn null(text: &mut String, function: &Function, fixtures: &str) {
    let nulls: Vec<&str> = function
        .parameters
        .iter()
        .map(|parameter| if parameter.is_pointer() { "NULL" } else { "0" })
        .collect();
    let call = |arguments: &str| format!("{}({arguments});", function.name);
    match function.parameters.as_slice() {
        [Parameter { kind: Kind::Text(ty), .. }] => {
            writeln!(text, "    {ty} nothing = {{NULL, 0}};\n    {}", call("&nothing"))
                .expect("a string grows");
            writeln!(text, "    {}", call("NULL")).expect("a string grows");
        }
        [Parameter { kind: Kind::Shared(handle), .. }] => {
            made(fixtures, handle);
            let empty = if function.returns.contains('*') { "NULL" } else { "0" };
            writeln!(text, "    {handle} *handle = make_{handle}();").expect("a string grows");
            writeln!(text, "    CHECK({}(NULL) == {empty});", function.name).expect("a string grows");
            writeln!(text, "    (void){}\n    {handle}_free(handle);", call("handle"))
                .expect("a string grows");
        }
        _ => writeln!(text, "    (void){}", call(&nulls.join(", "))).expect("a string grows"),
    }
}

/// A function with an error: once as it should be, and once for each argument gone wrong.
fn tries(text: &mut String, function: &Function, fixtures: &str) {
    one(text, function, fixtures, None);
    for parameter in &function.parameters {
        for wrong in wrongs(function, parameter, fixtures) {
            one(text, function, fixtures, Some(&wrong));
        }
    }
}

/// What can be wrong with an argument.
fn wrongs<'a>(function: &Function, parameter: &'a Parameter, fixtures: &str) -> Vec<Wrong<'a>> {
    const BAD: &str = "SLOTWISE_ERROR_INVALID_ARGUMENT";
    let of = |what, expressions: &[&str], code| Wrong {
        parameter,
        what,
        expressions: expressions.iter().map(|&expression| expression.to_owned()).collect(),
        code,
    };
    let example = example(function, parameter, fixtures);
    match &parameter.kind {
        Kind::Utf8 => vec![
            of("NULL", &["NULL", "0"], None),
            of("NULL with a length", &["NULL", "1"], Some(BAD)),
            of("as long as can be", &[&example, "SIZE_MAX"], Some(BAD)),
            of("longer than an object", &[&example, "(size_t)PTRDIFF_MAX + 1"], Some(BAD)),
            of("not UTF-8", &["\"\\xff\"", "1"], Some("SLOTWISE_ERROR_INVALID_UTF8")),
            of("a surrogate", &["\"\\xed\\xa0\\x80\"", "3"], Some("SLOTWISE_ERROR_INVALID_UTF8")),
            of("empty", &["\"\"", "0"], None),
            of("without its last byte", &[&example, &format!("sizeof({example}) - 2")], None),
            of("with a NUL", &[&example, &format!("sizeof({example})")], None),
            of("garbage", &["\"[{\\x01\"", "3"], None),
        ],
        Kind::Array(_) => vec![
            of("NULL", &["NULL", "0"], None),
            of("NULL with a length", &["NULL", "1"], Some(BAD)),
            of("as long as can be", &[&format!("{}_", parameter.name), "SIZE_MAX"], Some(BAD)),
            of("empty", &[&format!("{}_", parameter.name), "0"], None),
        ],
        Kind::Handles(_) => vec![
            of("NULL with a length", &["NULL", "1"], Some(BAD)),
            of("as long as can be", &[&format!("{}_", parameter.name), "SIZE_MAX"], Some(BAD)),
            of("a handle that is NULL", &[&format!("{}_", parameter.name), "1"], None),
            of("empty", &[&format!("{}_", parameter.name), "0"], None),
        ],
        Kind::Results(_) => vec![
            of("NULL with a length", &["NULL", "1"], Some(BAD)),
            of("empty", &[&format!("{}_", parameter.name), "0"], None),
        ],
        _ if !parameter.is_pointer() || parameter.kind == Kind::Error => Vec::new(),
        _ => vec![of("NULL", &["NULL"], (!function.may_be_null(parameter)).then_some(BAD))],
    }
}

/// One call, with and without a place for its error.
fn one(text: &mut String, function: &Function, fixtures: &str, wrong: Option<&Wrong<'_>>) {
    let (mut before, mut arguments) = (String::new(), Vec::new());
    let (mut failed, mut succeeded, mut after) = (String::new(), String::new(), String::new());
    for parameter in &function.parameters {
        let name = &parameter.name;
        let given = match &parameter.kind {
            Kind::Error => "with_error ? &error : NULL".to_owned(),
            Kind::Shared(handle) | Kind::Exclusive(handle) => {
                made(fixtures, handle);
                let _ = writeln!(before, "{handle} *{name}_ = make_{handle}();");
                let _ = writeln!(after, "{handle}_free({name}_);");
                format!("{name}_")
            }
            Kind::NewHandle(ty) => {
                let _ = writeln!(before, "{ty} *{name}_;\nblank(&{name}_, sizeof {name}_);");
                let _ = write!(failed, " && untouched(&{name}_, sizeof {name}_)");
                let _ = writeln!(succeeded, "{ty}_free({name}_);");
                format!("&{name}_")
            }
            Kind::Text(ty) => {
                let _ = writeln!(before, "{ty} {name}_;\nblank(&{name}_, sizeof {name}_);");
                let _ = write!(failed, " && untouched(&{name}_, sizeof {name}_)");
                // Where the place itself was NULL there is nothing to free.
                let _ = writeln!(succeeded, "if (!untouched(&{name}_, sizeof {name}_)) {ty}_free(&{name}_);");
                format!("&{name}_")
            }
            Kind::Result(ty) => {
                let _ = writeln!(before, "{ty} {name}_;\nblank(&{name}_, sizeof {name}_);");
                let _ = write!(failed, " && untouched(&{name}_, sizeof {name}_)");
                format!("&{name}_")
            }
            Kind::Results(ty) => {
                let _ = writeln!(before, "{ty} {name}_[4];\nblank({name}_, sizeof {name}_);");
                let _ = write!(failed, " && untouched({name}_, sizeof {name}_)");
                format!("{name}_, 4")
            }
            Kind::Array(ty) => {
                let ty = ty.trim_end_matches("const");
                let _ = writeln!(before, "{ty} {name}_[4];\nmemset({name}_, 0, sizeof {name}_);");
                format!("{name}_, 4")
            }
            Kind::Handles(ty) => {
                let _ = writeln!(before, "{ty} *const {name}_[1] = {{NULL}};\n(void){name}_;");
                "NULL, 0".to_owned()
            }
            Kind::Struct(ty) => {
                let _ = writeln!(before, "{ty} {name}_;\nmemset(&{name}_, 0, sizeof {name}_);");
                format!("&{name}_")
            }
            Kind::Utf8 => {
                let example = example(function, parameter, fixtures);
                format!("{example}, sizeof({example}) - 1")
            }
            Kind::Callback => "NULL".to_owned(),
            Kind::Value => "0".to_owned(),
            Kind::Length(_) => continue,
            Kind::Freed(_) => unreachable!("a function that fails frees nothing"),
        };
        match wrong {
            Some(wrong) if wrong.parameter == parameter => arguments.push(wrong.expressions.join(", ")),
            _ => arguments.push(given),
        }
    }
    let (parameter, what, code) = match wrong {
        Some(wrong) => (wrong.parameter.name.as_str(), wrong.what, wrong.code.unwrap_or("0")),
        None => ("", "all as it should be", "0"),
    };
    let (name, arguments) = (&function.name, arguments.join(", "));
    let _ = write!(
        text,
        "for (int with_error = 0; with_error < 2; with_error++) {{\n{before}slotwise_error *error = NULL;\n\
         uint32_t code = {name}({arguments});\n\
         judge(\"{name}\", \"{parameter}\", \"{what}\", {code}, code, error, with_error != 0);\n\
         if (code != SLOTWISE_OK) {{\nif (!(true{failed})) complain(\"{name}\", \"{parameter}\", \"{what}\", \
         \"a result was written\");\n}} else {{\n{succeeded}}}\n{after}}}\n"
    );
}

/// The macro of a text that is valid for this parameter, or an empty document.
fn example(function: &Function, parameter: &Parameter, fixtures: &str) -> String {
    let of_function = format!("EXAMPLE_{}_{}", function.name, parameter.name);
    let of_name = format!("EXAMPLE_{}", parameter.name);
    let defined = |name: &str| fixtures.contains(&format!("#define {name} "));
    match [of_function, of_name].into_iter().find(|name| defined(name)) {
        Some(name) => name,
        None => "\"{}\"".to_owned(),
    }
}

fn made(fixtures: &str, handle: &str) {
    assert!(
        fixtures.contains(&format!(" *make_{handle}(void)")),
        "tests/c/fixtures.h lacks a function `static {handle} *make_{handle}(void)` that makes a handle to try"
    );
}
