# SPDX-License-Identifier: Apache-2.0
install(TARGETS vgg_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS libvgg LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS libvgg_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/vgg DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# vgg.pc finds its prefix from where it lies, so that an installed tree can be moved.
file(RELATIVE_PATH VGG_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" VGG_PC_TO_PREFIX "${VGG_PC_TO_PREFIX}")
set(VGG_PC_PRIVATE "")
if(VGG_ONEDNN)
  string(APPEND VGG_PC_PRIVATE " -ldnnl")
endif()
if(VGG_CAIRO)
  string(APPEND VGG_PC_PRIVATE " -lcairo")
endif()
configure_file(cmake/vgg.pc.in vgg.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/vgg.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
