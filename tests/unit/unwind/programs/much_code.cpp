// Nothing of this is run: it is what lies before the other units in a file of many.
#include <map>
#include <regex>
#include <string>

template class std::basic_regex<char>;
template class std::map<int, std::string>;
