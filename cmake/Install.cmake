# SPDX-License-Identifier: Apache-2.0
#
# What `cmake --install` puts where: the binaries, libsluice with its headers and CMake package,
# man pages, completions, units and the configuration's schema.
include(CMakePackageConfigHelpers)

# ---- libsluice ----

# Headers are installed as include/libsluice/<module>/, the ABI's as include/sluice/. Apart: a
# search path with sluice/limits.h at its top would hide the C library's <limits.h>.
get_property(sluice_modules GLOBAL PROPERTY SLUICE_MODULES)
foreach(module IN LISTS sluice_modules)
    string(REPLACE sluice_ "" name ${module})
    target_include_directories(${module} INTERFACE
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/libsluice>)
    target_compile_features(${module} INTERFACE cxx_std_20)
    install(DIRECTORY src/${name}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/libsluice/${name}
            FILES_MATCHING PATTERN "*.h" PATTERN "*_impl.h" EXCLUDE)
endforeach()

# Every module, as one target: in the tree and from a prefix it has the same name.
add_library(sluice_all INTERFACE)
target_link_libraries(sluice_all INTERFACE ${sluice_modules})
set_target_properties(sluice_all PROPERTIES EXPORT_NAME sluice)
add_library(Sluice::sluice ALIAS sluice_all)

# Imported targets of pkg-config are not exported: whoever uses the package makes them again.
set(SLUICE_PKGCONFIG_FINDS)
foreach(pair LIBBPF:libbpf LIBMNL:libmnl LIBCRYPTO:libcrypto SQLITE3:sqlite3 NGHTTP2:libnghttp2)
    string(REPLACE : ";" pair ${pair})
    list(GET pair 0 prefix)
    list(GET pair 1 package)
    if(TARGET PkgConfig::${prefix})
        string(APPEND SLUICE_PKGCONFIG_FINDS
               "pkg_check_modules(${prefix} REQUIRED QUIET IMPORTED_TARGET ${package})\n")
    endif()
endforeach()

set(sluice_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Sluice)
install(TARGETS ${sluice_modules} sluice_all EXPORT SluiceTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT SluiceTargets NAMESPACE Sluice:: DESTINATION ${sluice_package_dir})
configure_package_config_file(cmake/SluiceConfig.cmake.in ${CMAKE_BINARY_DIR}/SluiceConfig.cmake
                              INSTALL_DESTINATION ${sluice_package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/SluiceConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/SluiceConfig.cmake ${CMAKE_BINARY_DIR}/SluiceConfigVersion.cmake
        DESTINATION ${sluice_package_dir})

# ---- binaries ----

install(TARGETS sluice_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS sluiced RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(PROGRAMS packaging/prepare-bpffs DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sluice)

# ---- pages, completions, units, schema ----

foreach(section 1 5 7 8)
    file(GLOB pages CONFIGURE_DEPENDS docs/man/*.${section})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

set(completions ${CMAKE_BINARY_DIR}/completions)
add_custom_command(
    OUTPUT ${completions}/sluice ${completions}/_sluice ${completions}/sluice.fish
    COMMAND ${CMAKE_COMMAND} -E make_directory ${completions}
    COMMAND sluice_cli completion bash > ${completions}/sluice
    COMMAND sluice_cli completion zsh > ${completions}/_sluice
    COMMAND sluice_cli completion fish > ${completions}/sluice.fish
    DEPENDS sluice_cli COMMENT "Completions")
add_custom_target(sluice_completions ALL DEPENDS ${completions}/sluice)
install(FILES ${completions}/sluice DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${completions}/_sluice DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${completions}/sluice.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

foreach(unit sluiced.service sluice-agent.service)
    configure_file(packaging/systemd/${unit}.in ${CMAKE_BINARY_DIR}/systemd/${unit} @ONLY)
    install(FILES ${CMAKE_BINARY_DIR}/systemd/${unit} DESTINATION lib/systemd/system)
endforeach()
install(FILES packaging/systemd/sluice.sysusers DESTINATION lib/sysusers.d RENAME sluice.conf)
install(FILES packaging/systemd/sluice.tmpfiles DESTINATION lib/tmpfiles.d RENAME sluice.conf)
install(FILES packaging/prometheus/sluice.rules.yaml packaging/prometheus/sluice.rules_test.yaml
        DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice/prometheus)
install(PROGRAMS packaging/keepalived/sluice-vrrp DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sluice)
install(FILES packaging/keepalived/keepalived.conf DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice/keepalived)
install(FILES packaging/grafana/sluice.json DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice/grafana)
if(IS_DIRECTORY ${CMAKE_SOURCE_DIR}/schema)
    install(DIRECTORY schema/ DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice/schema
            FILES_MATCHING PATTERN "*.json")
endif()

# After sluice_all: the examples link it as strangers would.
add_subdirectory(examples/embed)
add_subdirectory(examples/hotreload)
