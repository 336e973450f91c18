# SPDX-License-Identifier: Apache-2.0
# Libraries that Debian and Ubuntu have; see `quickstart` for the packages' names.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)

add_library(vgg_dependencies INTERFACE)
target_link_libraries(vgg_dependencies INTERFACE Threads::Threads OpenMP::OpenMP_C ZLIB::ZLIB
                      PNG::PNG JPEG::JPEG PkgConfig::JANSSON m)
if(VGG_ONEDNN)
  find_package(dnnl CONFIG REQUIRED)
  target_link_libraries(vgg_dependencies INTERFACE DNNL::dnnl)
  target_compile_definitions(vgg_dependencies INTERFACE VGG_HAVE_ONEDNN)
endif()
if(VGG_CAIRO)
  pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET cairo)
  target_link_libraries(vgg_dependencies INTERFACE PkgConfig::CAIRO)
  target_compile_definitions(vgg_dependencies INTERFACE VGG_HAVE_CAIRO)
endif()
