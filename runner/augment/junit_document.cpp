// expat, because it alone of the usual parsers says at which byte an event stands (tinyxml2 knows lines, and writes
// attributes, white space and entities its own way), and because it is strict: what another reader might understand
// otherwise is refused here and left alone. Names of elements and the rules of the dialect: docs of Jenkins' xunit
// plugin (junit-10.xsd), and what the frameworks write.
#include "runner/augment/junit_document.h"

#include <expat.h>

#include <algorithm>
#include <memory>

namespace crashcrawler {
namespace {

constexpr size_t kMostElements = 500'000;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

class Reader {
 public:
  explicit Reader(std::string_view bytes)
      : bytes_(bytes), parser_(XML_ParserCreate(nullptr), XML_ParserFree) {}

  Result<JunitDocument> read() {
    XML_Parser parser = parser_.get();
    XML_SetUserData(parser, this);
    XML_SetElementHandler(
        parser,
        [](void* self, const XML_Char* name, const XML_Char** attributes) {
          static_cast<Reader*>(self)->start(name, attributes);
        },
        [](void* self, const XML_Char*) { static_cast<Reader*>(self)->end(); });
    XML_SetCharacterDataHandler(parser, [](void* self, const XML_Char* text, int length) {
      static_cast<Reader*>(self)->characters({text, static_cast<size_t>(length)});
    });
    XML_SetCdataSectionHandler(
        parser, [](void* self) { static_cast<Reader*>(self)->begin_cdata(); }, [](void*) {});
    XML_SetXmlDeclHandler(parser, [](void* self, const XML_Char*, const XML_Char* encoding, int) {
      static_cast<Reader*>(self)->declaration(encoding ? encoding : "UTF-8");
    });
    XML_SetStartDoctypeDeclHandler(
        parser, [](void* self, const XML_Char*, const XML_Char*, const XML_Char*, int) {
          static_cast<Reader*>(self)->refuse("has a document type declaration");
        });
    if (bytes_.starts_with("\xff\xfe") || bytes_.starts_with("\xfe\xff")) {
      return Error{"is in UTF-16, not in UTF-8"};
    }
    const auto status = XML_Parse(parser, bytes_.data(), static_cast<int>(bytes_.size()), XML_TRUE);
    if (!refusal_.empty()) {
      return Error{refusal_};
    }
    if (status != XML_STATUS_OK) {
      return Error{"is not well-formed XML (line " +
                   std::to_string(XML_GetCurrentLineNumber(parser)) + ": " +
                   XML_ErrorString(XML_GetErrorCode(parser)) + ")"};
    }
    return std::move(document_);
  }

 private:
  void refuse(const std::string& why) {
    if (refusal_.empty()) {
      refusal_ = why;
    }
    XML_StopParser(parser_.get(), XML_FALSE);
  }

  void declaration(std::string encoding) {
    std::ranges::transform(encoding, encoding.begin(),
                           [](unsigned char c) { return std::toupper(c); });
    if (encoding != "UTF-8") {
      refuse("is in another encoding than UTF-8");
    }
  }

  Element begun(const char* name) const {
    const auto at = static_cast<size_t>(XML_GetCurrentByteIndex(parser_.get()));
    const auto length = static_cast<size_t>(XML_GetCurrentByteCount(parser_.get()));
    Element element;
    element.name = name;
    element.all = {at, at + length};
    element.content = {at + length, at + length};
    element.closed = bytes_[at + length - 2] == '/';
    return element;
  }

  void start(const char* name, const char** attributes) {
    const std::string_view what = name;
    if (++elements_ > kMostElements) {
      return refuse("has more than " + std::to_string(kMostElements) + " elements");
    }
    std::string own_name, classname;
    for (; *attributes; attributes += 2) {
      const std::string_view attribute = attributes[0];
      if (attribute == "xmlns") {
        return refuse("uses XML namespaces");
      }
      own_name = attribute == "name" ? attributes[1] : own_name;
      classname = attribute == "classname" ? attributes[1] : classname;
    }
    if (what.find(':') != what.npos) {
      return refuse("uses XML namespaces");
    }
    ++depth_;
    if (case_depth_ != 0) {
      if (depth_ == case_depth_ + 1) {
        document_.cases.back().children.push_back(begun(name));
      } else {
        document_.cases.back().children.back().empty = false;
      }
    } else if (what == "testcase" && suite_depth_ != 0 && depth_ == suite_depth_ + 1) {
      case_depth_ = depth_;
      document_.cases.push_back({begun(name),
                                 std::move(own_name),
                                 std::move(classname),
                                 {},
                                 document_.suites.size() - 1});
    } else if (what == "testsuite" && suite_depth_ != 0) {
      refuse("has test suites inside of test suites");
    } else if (what == "testsuite" && (depth_ == 1 || (depth_ == 2 && document_.has_root))) {
      suite_depth_ = depth_;
      document_.suites.push_back({begun(name), std::move(own_name), 0});
    } else if (what == "testsuites" && depth_ == 1) {
      document_.has_root = true;
      document_.root = begun(name);
    } else if (depth_ == 1) {
      refuse("is no JUnit file: its root is <" + std::string(what.substr(0, 80)) + ">");
    }
  }

  void finish(Element& element) const {
    if (!element.closed) {
      const auto at = static_cast<size_t>(XML_GetCurrentByteIndex(parser_.get()));
      element.content.end = at;
      element.all.end = at + static_cast<size_t>(XML_GetCurrentByteCount(parser_.get()));
    }
  }

  void end() {
    if (case_depth_ != 0 && depth_ == case_depth_ + 1) {
      finish(document_.cases.back().children.back());
    } else if (case_depth_ != 0 && depth_ == case_depth_) {
      finish(document_.cases.back().element);
      document_.suites.back().cases_end = document_.cases.back().element.all.end;
      case_depth_ = 0;
    } else if (suite_depth_ != 0 && depth_ == suite_depth_) {
      finish(document_.suites.back().element);
      suite_depth_ = 0;
    } else if (depth_ == 1) {
      finish(document_.root);
    }
    --depth_;
  }

  Element* open_child() {
    return case_depth_ != 0 && depth_ == case_depth_ + 1 ? &document_.cases.back().children.back()
                                                         : nullptr;
  }

  void characters(std::string_view text) {
    Element* child = open_child();
    if (child && child->empty) {
      child->empty = std::ranges::all_of(text, is_space);
    }
  }

  void begin_cdata() {
    Element* child = open_child();
    if (child &&
        static_cast<size_t>(XML_GetCurrentByteIndex(parser_.get())) == child->content.begin) {
      child->begins_cdata = true;
    }
  }

  std::string_view bytes_;
  std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser_;
  JunitDocument document_;
  std::string refusal_;
  size_t elements_ = 0;
  size_t depth_ = 0, suite_depth_ = 0, case_depth_ = 0;  // of the open ones; 0: none is open
};

}  // namespace

Result<JunitDocument> read_junit(std::string_view bytes) {
  return Reader(bytes).read();
}

std::vector<Attribute> attributes_of(std::string_view bytes, const Element& element) {
  std::vector<Attribute> attributes;
  size_t at = element.all.begin + 1 + element.name.size();
  for (;;) {
    while (is_space(bytes[at])) {
      ++at;
    }
    if (bytes[at] == '>' || bytes[at] == '/') {
      return attributes;
    }
    const size_t equals = bytes.find('=', at);
    const size_t name_end = std::min(bytes.find_first_of(" \t\r\n", at), equals);
    const size_t quote = bytes.find_first_of("\"'", equals);
    const size_t end = bytes.find(bytes[quote], quote + 1);
    attributes.push_back({std::string(bytes.substr(at, name_end - at)),
                          bytes.substr(quote + 1, end - quote - 1),
                          {quote + 1, end}});
    at = end + 1;
  }
}

}  // namespace crashcrawler
