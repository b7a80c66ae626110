//! How deep the types of a component can be nested, before anything reads them.
//!
//! Types of components and instances may be defined within others, three bytes a level. What reads them recurses, so that
//! a small file would end the process.

/// The sections of a component that matter here, and how the two types begin that hold definitions.
const COMPONENT: u8 = 4;
const TYPES: u8 = 7;
const COMPONENT_TYPE: u8 = 0x41;
const INSTANCE_TYPE: u8 = 0x42;
/// How a definition of a type begins within another type.
const DEFINITION: u8 = 1;

/// The length of what a component begins with: the magic number and the version.
const PREAMBLE: usize = 8;

/// At most so deep are types nested in a component: how often something looks like a type of an instance or component that
/// is defined within another type, in the section in which that is most often.
///
/// Sections follow one another, and those of a component within the component too, so that all are seen in one pass. It
/// ends at the first that is not whole, as does every reader.
pub(crate) fn at_most(component: &[u8]) -> usize {
    let mut rest = component.get(PREAMBLE..).unwrap_or_default();
    let mut most = 0;
    while let Some((&section, after)) = rest.split_first() {
        let Some((size, body)) = number(after) else { break };
        if section == COMPONENT {
            rest = body.get(PREAMBLE..).unwrap_or_default();
            continue;
        }
        let Some((body, after)) = body.split_at_checked(size) else { break };
        if section == TYPES {
            let is_nested = |pair: &&[u8]| matches!(pair, [DEFINITION, COMPONENT_TYPE | INSTANCE_TYPE]);
            most = most.max(body.windows(2).filter(is_nested).count());
        }
        rest = after;
    }
    most
}

/// A number of up to 32 bits as WebAssembly writes it, and what follows it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_usize;
    for (at, &byte) in bytes.iter().take(5).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_section_counts_wherever_it_is() {
        let deep = |depth: usize| "(type (instance ".repeat(depth) + &"))".repeat(depth);
        let of = |text: String| at_most(&wat::parse_str(text).expect("a component"));
        assert_eq!(of("(component)".to_owned()), 0);
        assert_eq!(of(format!("(component {})", deep(1))), 1);
        assert_eq!(of(format!("(component {})", deep(9))), 9);
        assert_eq!(of(format!("(component (component {}) {})", deep(9), deep(3))), 9);
        assert_eq!(
            of(format!("(component (core module) (component {}))", deep(4).repeat(2))),
            6,
            "how many there are is no 1"
        );
        assert_eq!(at_most(b"\0asm"), 0);
    }
}
