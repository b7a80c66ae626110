//! What the tests of slotwise share.
