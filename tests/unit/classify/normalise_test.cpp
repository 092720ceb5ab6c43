#include "runner/classify/normalise.h"

#include <gtest/gtest.h>

#include <chrono>

namespace crashcrawler {
namespace {

struct NameCase {
  const char* from;
  const char* to;
};

void PrintTo(const NameCase& name, std::ostream* out) {
  *out << name.from;
}

class Function : public ::testing::TestWithParam<NameCase> {};

TEST_P(Function, IsNormalised) {
  EXPECT_EQ(normalise_function(GetParam().from), GetParam().to);
}

INSTANTIATE_TEST_SUITE_P(
    C, Function,
    ::testing::Values(NameCase{"main", "main"}, NameCase{"_start", "_start"},
                      NameCase{"memcpy@plt", "memcpy"}, NameCase{"memcpy@@GLIBC_2.14", "memcpy"},
                      NameCase{"work.constprop.0", "work"}, NameCase{"work.isra.0.cold", "work"},
                      NameCase{"work.part.3", "work"}, NameCase{"work.llvm.1234567890", "work"},
                      NameCase{"work.constprop.0.isra.1.part.2", "work"},
                      NameCase{"local.1234", "local"}, NameCase{"__GI_raise", "raise"},
                      NameCase{"a.b", "a.b"}));

INSTANTIATE_TEST_SUITE_P(
    ReturnTypesAndParameters, Function,
    ::testing::Values(NameCase{"f()", "f"}, NameCase{"f(int, char const*)", "f"},
                      NameCase{"ns::C::f(int) const", "ns::C::f"},
                      NameCase{"ns::C::f(int) const &", "ns::C::f"},
                      NameCase{"void f<int>(int)", "f"},
                      NameCase{"std::vector<int, std::allocator<int> > make<int>(unsigned long)",
                               "make"},
                      NameCase{"unsigned long const& f<char>()", "f"},
                      NameCase{"decltype(auto) f<int>(int)", "f"},
                      NameCase{"decltype ({parm#1}+{parm#2}) add<int, int>(int, int)", "add"},
                      NameCase{"std::enable_if<(1>0), int>::type f<int>()", "f"},
                      NameCase{"void (*get<int>(int))(char)", "get"},
                      NameCase{"f(void (*)(int), int (&) [3])", "f"},
                      NameCase{"virtual thunk to C::f(int)", "C::f"},
                      NameCase{"non-virtual thunk to C::~C()", "C::~C"}));

INSTANTIATE_TEST_SUITE_P(
    Templates, Function,
    ::testing::Values(
        NameCase{"box<int>::put(int)", "box::put"},
        NameCase{"ns::box<ns::box<int> >::box(ns::box<int>&&)", "ns::box::box"},
        NameCase{"void std::sort<int*, std::greater<int> >(int*, int*, std::greater<int>)",
                 "std::sort"},
        NameCase{"void f<(1>2)>()", "f"}, NameCase{"void f<&(operator->)>()", "f"},
        NameCase{"std::function<void (std::vector<int>)>::operator()(std::vector<int>) const",
                 "std::function::operator()"},
        NameCase{"f<int", "f"}));

INSTANTIATE_TEST_SUITE_P(
    Operators, Function,
    ::testing::Values(NameCase{"C::operator()(int) const", "C::operator()"},
                      NameCase{"operator<(C const&, C const&)", "operator<"},
                      NameCase{"bool operator< <int>(C<int> const&)", "operator<"},
                      NameCase{"std::ostream& operator<< <char>(std::ostream&, char)",
                               "operator<<"},
                      NameCase{"C::operator->() const", "C::operator->"},
                      NameCase{"C::operator->*(int)", "C::operator->*"},
                      NameCase{"C::operator<=>(C const&) const", "C::operator<=>"},
                      NameCase{"C::operator[](unsigned long)", "C::operator[]"},
                      NameCase{"operator new(unsigned long)", "operator new"},
                      NameCase{"operator delete[](void*, unsigned long)", "operator delete[]"},
                      NameCase{"C::operator bool() const", "C::operator bool"},
                      NameCase{"C::operator std::vector<int>() const", "C::operator std::vector"},
                      NameCase{"operator\"\" _km(long double)", "operator\"\" _km"},
                      NameCase{"operator_like(int)", "operator_like"}));

INSTANTIATE_TEST_SUITE_P(
    MadeByTheCompiler, Function,
    ::testing::Values(
        NameCase{"main::{lambda(int)#1}::operator()(int) const", "main::{lambda}::operator()"},
        NameCase{"f(int)::{lambda()#2}::operator()() const", "f::{lambda}::operator()"},
        NameCase{"C::f(int) const::{lambda()#1}::_FUN()", "C::f::{lambda}::_FUN"},
        NameCase{"f()::'lambda'(int)::operator()(int) const", "f::{lambda}::operator()"},
        NameCase{"f()::'lambda0'()::operator()() const", "f::{lambda}::operator()"},
        NameCase{"main::$_0::operator()() const", "main::{lambda}::operator()"},
        NameCase{"f(int)::Local::g()", "f::Local::g"},
        NameCase{"f()::{unnamed type#1}::g()", "f::{unnamed type}::g"},
        NameCase{"(anonymous namespace)::f()", "(anonymous)::f"},
        NameCase{"ns::(anonymous namespace)::C::f(int)", "ns::(anonymous)::C::f"},
        NameCase{"{anonymous}::f()", "(anonymous)::f"},
        NameCase{"ns::_GLOBAL__N_1::f", "ns::(anonymous)::f"},
        NameCase{"make[abi:cxx11](int)", "make"}, NameCase{"C::name[abi:cxx11]() const", "C::name"},
        NameCase{"f(int) [clone .constprop.0]", "f"},
        NameCase{"f(int) [clone .part.0] [clone .cold]", "f"}, NameCase{"f [clone .cold]", "f"}));

INSTANTIATE_TEST_SUITE_P(Mangled, Function,
                         ::testing::Values(NameCase{"_ZN2ns1fEi", "ns::f"},
                                           NameCase{"_ZN2ns1fEi.cold", "ns::f"},
                                           NameCase{"_Z1fv.llvm.123", "f"},
                                           NameCase{"_ZN3boxIiE3putEi", "box::put"},
                                           NameCase{"_Znot_mangled", "_Znot_mangled"}));

INSTANTIATE_TEST_SUITE_P(
    OtherLanguages, Function,
    ::testing::Values(NameCase{"core::panicking::panic::h0123456789abcdef",
                               "core::panicking::panic"},
                      NameCase{"<alloc::vec::Vec<T> as core::ops::Drop>::drop",
                               "<alloc::vec::Vec<T> as core::ops::Drop>::drop"},
                      NameCase{"app::main::{{closure}}::h0123456789abcdef", "app::main::{closure}"},
                      NameCase{"app::main::{closure#3}", "app::main::{closure}"},
                      NameCase{"app[5e3b1a]::main", "app::main"},
                      NameCase{"main.(*Server).Serve", "main.(*Server).Serve"},
                      NameCase{"runtime.mallocgc", "runtime.mallocgc"}));

TEST(NormaliseFunction, KeepsWhatItDoesNotUnderstand) {
  for (const char* strange : {")", "]", "((", "{", "'", "a)b", "\xff\xfe"}) {
    EXPECT_FALSE(normalise_function(strange).empty()) << strange;
  }
  EXPECT_EQ(normalise_function(""), "");
}

TEST(NormaliseFunction, IsItsOwnFixedPoint) {
  for (const char* name : {"ns::C::f(int) const", "main::{lambda(int)#1}::operator()(int) const",
                           "(anonymous namespace)::f()", "operator<(C const&, C const&)"}) {
    const std::string once = normalise_function(name);
    EXPECT_EQ(normalise_function(once), once);
  }
}

TEST(NormaliseFunction, IsBoundedForHostileNames) {
  const auto start = std::chrono::steady_clock::now();
  for (const std::string piece : {"(", "<", "{", "(*", "f()::", "operator", "operator<", "$_0",
                                  "_GLOBAL__N_1", "[clone ", " ", "'a", ".0", "::h", "a"}) {
    std::string name;
    while (name.size() < 1u << 20) {
      name += piece;
    }
    EXPECT_LE(normalise_function(name).size(), 16384u) << piece;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

struct ModuleCase {
  const char* from;
  const char* to;
};

class ModuleName : public ::testing::TestWithParam<ModuleCase> {};

TEST_P(ModuleName, IsNormalised) {
  EXPECT_EQ(normalise_module(GetParam().from), GetParam().to);
}

INSTANTIATE_TEST_SUITE_P(
    All, ModuleName,
    ::testing::Values(ModuleCase{"/usr/lib/x86_64-linux-gnu/libc.so.6", "libc.so"},
                      ModuleCase{"/lib/libstdc++.so.6.0.30", "libstdc++.so"},
                      ModuleCase{"/lib/libc-2.31.so", "libc.so"},
                      ModuleCase{"/lib/libfoo-gtk2.so.1", "libfoo-gtk2.so"},
                      ModuleCase{"/home/u/a.out (deleted)", "a.out"},
                      ModuleCase{"/home/u/my.sound", "my.sound"}, ModuleCase{"plain", "plain"},
                      ModuleCase{"[vdso]", "[vdso]"}, ModuleCase{"", ""}));

}  // namespace
}  // namespace crashcrawler
