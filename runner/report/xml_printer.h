// XML, element by element in the order of the file; the calls are named as those of tinyxml2, which has no static
// library in Debian. Boost.PropertyTree, which is headers alone, writes it.
#pragma once

#include <boost/property_tree/ptree.hpp>
#include <string>
#include <vector>

namespace crashcrawler {

class XmlPrinter {
 public:
  // Text and values are UTF-8 that XML allows; what it reserves (<, &, quotes) is escaped.
  void OpenElement(const std::string& name);
  void PushAttribute(const char* name, const std::string& value);
  void PushAttribute(const char* name, int value);
  void PushText(const std::string& text);
  void CloseElement();

  // The document with its declaration, indented; every element has to be closed.
  std::string document() const;

 private:
  boost::property_tree::ptree root_;
  std::vector<boost::property_tree::ptree*> open_{&root_};
};

}  // namespace crashcrawler
