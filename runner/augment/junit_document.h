// Where things stand in a JUnit file of somebody else: byte offsets, so that what is not ours to change stays as it
// is, byte by byte.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"

namespace crashcrawler {

struct Span {
  size_t begin = 0, end = 0;  // offsets into the file, end exclusive
};

struct Attribute {
  std::string name;
  std::string_view
      value;  // as the file has it, entities not replaced; points into the bytes that were read
  Span span;  // of the value, without its quotes
};

struct Element {
  std::string name;
  Span all;                   // from '<' of its start to behind '>' of its end
  Span content;               // of a self-closing element: empty, at its end
  bool closed = false;        // self-closing
  bool empty = true;          // nothing inside but white space and comments
  bool begins_cdata = false;  // the first thing inside is a CDATA section
};

struct JunitCase {
  Element element;
  std::string name, classname;
  std::vector<Element> children;
  size_t suite = 0;  // index into JunitDocument::suites
};

struct JunitSuite {
  Element element;
  std::string name;
  size_t cases_end = 0;  // behind its last case; 0: it has none
};

struct JunitDocument {
  bool has_root = false;  // <testsuites>; without it the only suite is the root
  Element root;
  std::vector<JunitSuite> suites;
  std::vector<JunitCase> cases;
};

// What can be edited safely: one well-formed UTF-8 document, testsuites/testsuite/testcase or testsuite/testcase, no
// document type, no namespace, no suite inside of a suite, at most 500,000 elements. Error: which of these it is not.
Result<JunitDocument> read_junit(std::string_view bytes);

// The attributes of the start tag at `element`, which read_junit() has found in `bytes`.
std::vector<Attribute> attributes_of(std::string_view bytes, const Element& element);

}  // namespace crashcrawler
