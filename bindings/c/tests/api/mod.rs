//! The functions that a header declares, as cbindgen writes it: name, comment, what they return and take.
//!
//! What a parameter is for follows from its type, so that a function that is added is documented and tested without
//! anything being written for it.

#![allow(dead_code, reason = "each test that has this as a module uses a part of it")]

use std::collections::BTreeSet;

/// One exported function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The comment without its frame.
    pub(crate) doc: String,
    /// Where the comment ends in the header.
    pub(crate) doc_end: usize,
    pub(crate) returns: String,
    pub(crate) parameters: Vec<Parameter>,
}

/// One parameter; `kind` says what the function does with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) ty: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// What a parameter is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// `slotwise_error **error`
    Error,
    /// A handle that is made: `slotwise_NAME **`.
    NewHandle(String),
    /// A handle that is only read.
    Shared(String),
    /// A handle that is changed.
    Exclusive(String),
    /// A handle that is given up.
    Freed(String),
    /// A text or bytes for the caller, `slotwise_string *` or `slotwise_bytes *`, or one that is freed.
    Text(String),
    /// UTF-8, with a length.
    Utf8,
    /// An array that is read, of this type, with a length.
    Array(String),
    /// An array of handles that are only read, with a length.
    Handles(String),
    /// An array that is written, of this type, with a length.
    Results(String),
    /// The number of elements of the array of this name.
    Length(String),
    /// A number or struct that is written.
    Result(String),
    /// A struct that is read.
    Struct(String),
    /// A function that is called back, or what is handed to it.
    Callback,
    /// A number or a switch.
    Value,
}

impl Parameter {
    pub(crate) fn is_pointer(&self) -> bool {
        !matches!(self.kind, Kind::Value | Kind::Length(_) | Kind::Callback)
    }
}

impl Function {
    /// Whether the function can fail and says why.
    pub(crate) fn fails(&self) -> bool {
        self.parameters.last().is_some_and(|parameter| parameter.kind == Kind::Error)
    }

    pub(crate) fn frees(&self) -> bool {
        !self.fails() && self.name.ends_with("_free")
    }

    /// Whether the comment allows NULL for this parameter.
    pub(crate) fn may_be_null(&self, parameter: &Parameter) -> bool {
        let name = &parameter.name;
        parameter.kind == Kind::Error
            || self.frees()
            || !self.fails()
            || [format!("`{name}` may be NULL"), format!("With `{name}` NULL")]
                .iter()
                .any(|allowed| self.doc.contains(allowed))
    }
}

/// Every function that the header declares, in order.
pub(crate) fn functions(header: &str) -> Vec<Function> {
    let opaque: BTreeSet<&str> = header
        .lines()
        .filter_map(|line| line.strip_prefix("typedef struct ")?.strip_suffix(';')?.split_once(' '))
        .filter(|(structure, name)| structure == name)
        .map(|(name, _)| name)
        .collect();
    let mut functions = Vec::new();
    let Some(start) = header.find("extern \"C\" {") else { return functions };
    let mut at = start;
    while let Some(open) = header[at..].find("/**").map(|found| at + found) {
        let doc_end = open + header[open..].find("*/").expect("a comment ends");
        let end = doc_end + header[doc_end..].find(';').expect("a declaration ends");
        let declaration = header[doc_end + 2..end].split_whitespace().collect::<Vec<_>>().join(" ");
        at = end;
        let Some((head, rest)) = declaration.split_once('(') else { continue };
        let split = head.rfind([' ', '*']).expect("a type before the name") + 1;
        let doc: Vec<&str> = header[open + 3..doc_end]
            .lines()
            .map(|line| line.trim().trim_start_matches('*').trim())
            .collect();
        let mut function = Function {
            name: head[split..].to_owned(),
            doc: doc.join("\n").trim().to_owned(),
            doc_end,
            returns: head[..split].trim().to_owned(),
            parameters: Vec::new(),
        };
        let list = rest.strip_suffix(')').expect("a list of parameters ends");
        let parts: Vec<&str> = list.split(", ").filter(|part| *part != "void").collect();
        let frees = function.name.ends_with("_free") && parts.len() == 1;
        for (index, part) in parts.iter().enumerate() {
            let split = part.rfind([' ', '*']).expect("a type before the name") + 1;
            let (ty, name) =
                (part[..split].replace("struct ", "").trim().to_owned(), part[split..].to_owned());
            let counted = parts.get(index + 1).is_some_and(|next| next.ends_with(&format!(" {name}_len")));
            let kind = kind(&ty, &name, counted, frees, &opaque);
            function.parameters.push(Parameter { ty, name, kind });
        }
        functions.push(function);
    }
    functions
}

fn kind(ty: &str, name: &str, counted: bool, frees: bool, opaque: &BTreeSet<&str>) -> Kind {
    let constant = ty.starts_with("const ");
    let target = ty.trim_start_matches("const ").trim_end_matches([' ', '*']).to_owned();
    let pointers = ty.chars().filter(|c| *c == '*').count();
    match pointers {
        2 if target == "slotwise_error" => Kind::Error,
        2 if opaque.contains(target.as_str()) && !constant && !counted => Kind::NewHandle(target),
        2 if counted && ty.ends_with("*const *") => {
            Kind::Handles(target.trim_end_matches(" *const").to_owned())
        }
        0 if name.ends_with("_len") => Kind::Length(name.trim_end_matches("_len").to_owned()),
        0 if ty.ends_with("_function") => Kind::Callback,
        0 => Kind::Value,
        _ if target == "void" => Kind::Callback,
        1 if target == "char" && counted => Kind::Utf8,
        _ if counted && constant => {
            Kind::Array(ty.trim_start_matches("const ").trim_end_matches('*').trim().to_owned())
        }
        _ if counted => Kind::Results(target),
        1 if opaque.contains(target.as_str()) && frees => Kind::Freed(target),
        1 if opaque.contains(target.as_str()) && constant => Kind::Shared(target),
        1 if opaque.contains(target.as_str()) => Kind::Exclusive(target),
        1 if ["slotwise_string", "slotwise_bytes"].contains(&target.as_str()) && !constant => {
            Kind::Text(target)
        }
        1 if constant => Kind::Struct(target),
        _ => Kind::Result(target),
    }
}
