// Boost.Process version 1, under one name.
//
// Version 2 has no way to run code between fork and exec that could hold the child there, which is
// all this stage needs of the library. Boost 1.86 moved version 1 into a folder and a namespace of
// its own.
#pragma once

#if __has_include(<boost/process/v1/child.hpp>)
#include <boost/process/v1/args.hpp>
#include <boost/process/v1/child.hpp>
#include <boost/process/v1/env.hpp>
#include <boost/process/v1/environment.hpp>
#include <boost/process/v1/error.hpp>
#include <boost/process/v1/exe.hpp>
#include <boost/process/v1/extend.hpp>
#include <boost/process/v1/posix.hpp>
#include <boost/process/v1/start_dir.hpp>
namespace crashcrawler::bp {
using namespace boost::process::v1;  // NOLINT(google-build-using-namespace)
}
#else
#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/env.hpp>
#include <boost/process/environment.hpp>
#include <boost/process/error.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/posix.hpp>
#include <boost/process/start_dir.hpp>
namespace crashcrawler::bp {
using namespace boost::process;  // NOLINT(google-build-using-namespace)
}
#endif
