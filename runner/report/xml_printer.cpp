#include "runner/report/xml_printer.h"

#include <boost/property_tree/xml_parser.hpp>
#include <sstream>

namespace crashcrawler {

namespace property_tree = boost::property_tree;

void XmlPrinter::OpenElement(const std::string& name) {
  open_.push_back(&open_.back()->push_back({name, property_tree::ptree()})->second);
}

void XmlPrinter::PushAttribute(const char* name, const std::string& value) {
  open_.back()->put(std::string("<xmlattr>.") + name, value);
}

void XmlPrinter::PushAttribute(const char* name, int value) {
  PushAttribute(name, std::to_string(value));
}

void XmlPrinter::PushText(const std::string& text) {
  open_.back()->data() += text;
}

void XmlPrinter::CloseElement() {
  open_.pop_back();
}

std::string XmlPrinter::document() const {
  std::ostringstream text;
  constexpr unsigned kIndentation = 4;
  property_tree::write_xml(
      text, root_,
      property_tree::xml_writer_make_settings<std::string>(' ', kIndentation, "UTF-8"));
  return text.str();
}

}  // namespace crashcrawler
